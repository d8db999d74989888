"""Events over plain WebSocket, in JSON or MessagePack: `{"event", "data", "id"}`. No I/O.

An extension of the published protocol. Every answer to a request that carried an `id` carries it as
`re`; the first such frame is the acknowledgement.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw

from lbproto.errors import InvalidRequest
from lbproto.events import Event
from lbproto.frame import Frame, Message, frame_of, message_frame
from lbproto.wire.arguments import Arguments, Inbound, JSONArguments, MsgpackArguments
from lbproto.wire.formats import RequestId, WireFormat, json_encoder, msgpack_encoder
from lbproto.wire.msgpack import without_undefined

__all__ = [
    "ACKNOWLEDGEMENT",
    "PLAIN_JSON",
    "PLAIN_MSGPACK",
    "SUBPROTOCOLS",
    "PlainFormat",
    "PlainRequest",
]

ACKNOWLEDGEMENT = "ack"
_MAX_ID = 64


class PlainRequest(Inbound):
    """A frame from a client.

    Attributes:
        name: its event.
        arguments: its data, where it has any.
        id: its id.
        answers: with the event `ack`, the `id` of the event that is acknowledged.
    """

    answers: int | None


_NO_DATA = Raw(b"")


class _Frame(msgspec.Struct):
    event: str
    data: Raw = _NO_DATA
    id: int | str | None = None
    re: int | None = None


_json = msgspec.json.Decoder(_Frame)
_msgpack = msgspec.msgpack.Decoder(_Frame)


class PlainFormat(WireFormat):
    """One of the two subprotocols."""

    __slots__ = ()
    answers_acknowledge = True

    def decode(self, message: Message) -> PlainRequest:
        """Take one message.

        Raises:
            InvalidRequest: it is not a request; the message says why. The connection lives on:
                the next message can be read whatever this one was.
        """
        try:
            frame, arguments = self._decode(message)
        except (msgspec.DecodeError, UnicodeError) as error:
            raise InvalidRequest(str(error)) from None
        except RecursionError:
            raise InvalidRequest("The message is nested too deeply") from None
        if isinstance(frame.id, str) and len(frame.id) > _MAX_ID:
            raise InvalidRequest(f"An id has at most {_MAX_ID} characters - at `$.id`")
        return PlainRequest(frame.event, arguments, frame.id, frame.re)

    def _decode(self, message: Message) -> tuple[_Frame, Arguments]:
        raise NotImplementedError

    def answer(self, event: Event, request: RequestId, offset: str | None) -> Frame:
        return self.event(event.event_name, (event,), answers=request, offset=offset)

    def acknowledgement(self, request: RequestId, arguments: Sequence[Any]) -> Frame:
        return self.event(ACKNOWLEDGEMENT, arguments, answers=request)


class _PlainJSON(PlainFormat):
    __slots__ = ()

    def _decode(self, message: Message) -> tuple[_Frame, Arguments]:
        if isinstance(message, bytes):
            raise InvalidRequest("This connection speaks JSON in text messages, not binary ones")
        frame = _json.decode(message)
        return frame, JSONArguments(() if frame.data == _NO_DATA else (frame.data,))

    def event(
        self,
        name: str,
        arguments: Sequence[Any],
        *,
        answers: RequestId | None = None,
        asks: int | None = None,
        offset: str | None = None,
    ) -> Frame:
        return frame_of(json_encoder.encode(_body(name, arguments, answers, asks, offset)))


class _PlainMsgpack(PlainFormat):
    __slots__ = ()
    is_msgpack = True

    def _decode(self, message: Message) -> tuple[_Frame, Arguments]:
        if isinstance(message, str):
            raise InvalidRequest("This connection speaks MessagePack in binary messages, not text")
        frame = _msgpack.decode(without_undefined(message))
        return frame, MsgpackArguments(() if frame.data == _NO_DATA else (frame.data,))

    def event(
        self,
        name: str,
        arguments: Sequence[Any],
        *,
        answers: RequestId | None = None,
        asks: int | None = None,
        offset: str | None = None,
    ) -> Frame:
        message = msgpack_encoder.encode(_body(name, arguments, answers, asks, offset))
        return Frame(message_frame(message))


def _body(
    name: str,
    arguments: Sequence[Any],
    answers: RequestId | None,
    asks: int | None,
    offset: str | None,
) -> dict[str, Any]:
    body: dict[str, Any] = {"event": name, "data": arguments[0] if arguments else {}}
    if answers is not None:
        body["re"] = answers
    if asks is not None:
        body["id"] = asks
    if offset is not None:
        body["offset"] = offset
    return body


PLAIN_JSON = _PlainJSON()
PLAIN_MSGPACK = _PlainMsgpack()

SUBPROTOCOLS = {"lbproto.v1.json": PLAIN_JSON, "lbproto.v1.msgpack": PLAIN_MSGPACK}
"""By name, the default first."""
