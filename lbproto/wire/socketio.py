"""Socket.IO v5 packets in their default, textual form. No I/O.

Source: socketio/socket.io, docs/socket.io-protocol/v5-current.md. A packet is carried by one
Engine.IO message, and its attachments by the binary messages right behind it:

    <type>[<attachments>-][<namespace>,][<acknowledgement id>][<JSON>]
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from functools import cache
from typing import Any

import msgspec
from msgspec import Raw

from lbproto.events import Event
from lbproto.frame import Frame, Message, frame_of, head_of_text
from lbproto.wire.arguments import Inbound, JSONArguments, ObjectArguments
from lbproto.wire.attachments import extract, holds_no_bytes, may_hold_bytes, restore
from lbproto.wire.engineio import MESSAGE
from lbproto.wire.formats import RequestId, WireFormat, json_encoder
from lbproto.wire.settings import ProtocolError, Settings

__all__ = [
    "JSONDecoder",
    "JSONFormat",
    "Packet",
    "PacketType",
    "connect_body",
    "event_values",
    "json_format",
]

_EVENT = "2"
_BINARY = 3  # from EVENT to BINARY_EVENT, from ACK to BINARY_ACK
_MAX_ID_DIGITS = 15  # an acknowledgement id stays an exact number in JavaScript
_MAX_COUNT_DIGITS = 4
_MALFORMED = (msgspec.DecodeError, UnicodeError, RecursionError)
_IS_MALFORMED = "the packet's payload is malformed"


class PacketType(IntEnum):
    """What a packet is for."""

    CONNECT = 0
    DISCONNECT = 1
    EVENT = 2
    ACK = 3
    CONNECT_ERROR = 4
    BINARY_EVENT = 5
    BINARY_ACK = 6


_EVENT_TYPE = PacketType.EVENT  # looking it up each time would be felt


class Packet(Inbound):
    """A packet from a client; binary ones arrive as EVENT and ACK, attachments put in.

    Attributes:
        name: the event's name; "" in other packets.
        arguments: what came with it: the auth object of a CONNECT, an event's arguments.
        id: the acknowledgement id asked for (EVENT) or answered (ACK).
        type: CONNECT, DISCONNECT, EVENT or ACK.
        namespace: "/" or "/name".
    """

    type: PacketType
    namespace: str


class JSONDecoder:
    """Packets from Engine.IO messages; holds a binary packet until its attachments are there."""

    __slots__ = ("_buffers", "_expected", "_head", "_max_attachments", "_max_payload", "_room")

    def __init__(self, settings: Settings) -> None:
        self._max_attachments = settings.max_attachments
        self._max_payload = settings.max_payload
        self._expected = 0
        self._room = 0
        self._buffers: list[bytes] = []
        self._head: tuple[PacketType, str, int | None, list[Any]] | None = None

    def receive(self, message: Message) -> Packet | None:
        """Take one message.

        Returns:
            The packet it completes, or None while attachments are missing.

        Raises:
            ProtocolError: this is not a packet, or not the attachment that was announced.
        """
        if isinstance(message, bytes):
            return self._receive_attachment(message)
        if self._head is not None:
            raise ProtocolError("a packet came where an attachment was announced")
        start = message.find("[")
        if message[:1] == _EVENT:  # nearly all
            if start == 1:
                return _event("/", None, message[1:])
            if _is_id(digits := message[1:start]):
                return _event("/", int(digits), message[start:])
        return self._receive_text(message)

    def _receive_text(self, text: str) -> Packet | None:
        if not text or text[0] not in "0123456":
            raise ProtocolError("unknown packet type")
        type_ = PacketType(int(text[0]))
        at = 1
        attachments = 0
        if type_ >= PacketType.BINARY_EVENT:
            count, at = _digits(text, at, _MAX_COUNT_DIGITS)
            if count is None or text[at : at + 1] != "-":
                raise ProtocolError("a binary packet does not say how many attachments it has")
            attachments, at = count, at + 1
            if attachments > self._max_attachments:
                raise ProtocolError("too many attachments")
            type_ = PacketType(type_ - _BINARY)
        namespace, at = _namespace(text, at)
        id_, at = _digits(text, at, _MAX_ID_DIGITS)
        body = text[at:]
        if type_ is PacketType.CONNECT:
            return _connect(namespace, body)
        if type_ is PacketType.DISCONNECT:
            if body:
                raise ProtocolError("a disconnect packet carries nothing")
            return Packet("", JSONArguments(()), None, type_, namespace)
        if type_ is PacketType.CONNECT_ERROR:
            raise ProtocolError("only a server refuses a connection")
        if attachments:
            values = _decode(body, list[Any])
            self._head = (type_, namespace, id_, values)
            self._expected, self._room = attachments, self._max_payload
            return None
        return _message(type_, namespace, id_, body)

    def _receive_attachment(self, data: bytes) -> Packet | None:
        if self._head is None:
            raise ProtocolError("an attachment that no packet announced")
        self._room -= len(data)
        if self._room < 0:
            raise ProtocolError("the attachments are larger than a payload may be")
        self._buffers.append(data)
        if len(self._buffers) < self._expected:
            return None
        (type_, namespace, id_, values), buffers = self._head, self._buffers
        self._head, self._buffers = None, []
        try:
            values = restore(values, buffers)
        except RecursionError:
            raise ProtocolError("nested too deeply") from None
        if type_ is PacketType.ACK:
            return Packet("", ObjectArguments(values), _required(id_), type_, namespace)
        if not values or not isinstance(values[0], str):
            raise ProtocolError("an event has no name")
        return Packet(values[0], ObjectArguments(values[1:]), id_, type_, namespace)


def _is_id(text: str) -> bool:
    return text.isdigit() and text.isascii() and len(text) <= _MAX_ID_DIGITS


def _digits(text: str, at: int, most: int) -> tuple[int | None, int]:
    """The number at `at`, if there is one, and where it ends."""
    end = at
    while end < len(text) and text[end] in "0123456789":
        end += 1
        if end - at > most:
            raise ProtocolError("a number is too long")
    return (int(text[at:end]) if end > at else None), end


def _namespace(text: str, at: int) -> tuple[str, int]:
    if text[at : at + 1] != "/":
        return "/", at
    comma = text.find(",", at)
    end = comma if comma >= 0 else len(text)
    # A query string in a namespace is accepted and ignored: older clients send one.
    namespace = text[at:end].partition("?")[0]
    try:
        namespace.encode()  # what is refused is named in the refusal
    except UnicodeError:
        raise ProtocolError("a namespace is not text") from None
    return namespace, min(end + 1, len(text))


def _decode(body: str, into: type[Any]) -> Any:
    try:
        return msgspec.json.decode(body, type=into)
    except _MALFORMED:
        raise ProtocolError(_IS_MALFORMED) from None


def _connect(namespace: str, body: str) -> Packet:
    if body and not body.startswith("{"):
        raise ProtocolError("the auth payload of a connect packet is an object")
    raws = [_decode(body, Raw)] if body else []
    return Packet("", JSONArguments(raws), None, PacketType.CONNECT, namespace)


_raws = msgspec.json.Decoder(list[Raw])
_name = msgspec.json.Decoder(str)
_name_and_raw = msgspec.json.Decoder(tuple[str, Raw])


def _event(namespace: str, id_: int | None, body: str) -> Packet:
    try:
        name, raw = _name_and_raw.decode(body)  # nearly all have one argument
    except msgspec.ValidationError:
        return _message(_EVENT_TYPE, namespace, id_, body)
    except _MALFORMED:
        raise ProtocolError(_IS_MALFORMED) from None
    return Packet(name, JSONArguments((raw,)), id_, _EVENT_TYPE, namespace)


def _message(type_: PacketType, namespace: str, id_: int | None, body: str) -> Packet:
    try:
        raws = _raws.decode(body)
        if type_ is _EVENT_TYPE:
            return Packet(_name.decode(raws[0]), JSONArguments(raws[1:]), id_, type_, namespace)
        return Packet("", JSONArguments(raws), _required(id_), type_, namespace)
    except (*_MALFORMED, IndexError):
        raise ProtocolError(_IS_MALFORMED) from None


def _required(id_: int | None) -> int:
    if id_ is None:
        raise ProtocolError("an acknowledgement names no request")
    return id_


_encode = json_encoder.encode
_TOLD = b"}]"  # how an acknowledgement ends


class JSONFormat(WireFormat):
    """Socket.IO's default form, in one namespace; each text carries its Engine.IO prefix."""

    __slots__ = ("_acknowledge", "_address", "_constants", "_event")

    def __init__(self, namespace: str) -> None:
        self._address = b"" if namespace == "/" else namespace.encode() + b","
        self._event = self._head(PacketType.EVENT)
        self._acknowledge = self._head(PacketType.ACK)
        self._constants: dict[str, tuple[bytes, bytes]] = {}  # by the names of events

    def event(
        self,
        name: str,
        arguments: Sequence[Any],
        *,
        answers: RequestId | None = None,  # noqa: ARG002 - Socket.IO answers by acknowledgement
        asks: int | None = None,
        offset: str | None = None,
    ) -> Frame:
        values = event_values(name, arguments, offset)
        if asks is None and not may_hold_bytes(arguments):
            return frame_of(self._event + json_encoder.encode(values))
        id_ = b"" if asks is None else b"%d" % asks
        return self._frame(PacketType.EVENT, id_, *extract(values))

    def typed(self, event: Event, answers: RequestId | None, offset: str | None) -> Frame:
        if type(event) not in holds_no_bytes and may_hold_bytes((event,)):
            return super().typed(event, answers, offset)
        name = event.event_name
        text = self._event + _encode((name, event) if offset is None else (name, event, offset))
        return Frame(head_of_text(len(text)) + text)

    def answer(self, event: Event, request: RequestId, offset: str | None) -> Frame:
        if type(event) not in holds_no_bytes and may_hold_bytes((event,)):
            return super().answer(event, request, offset)
        body = _encode(event)  # once for both
        try:
            begin, said = self._constants[event.event_name]
        except KeyError:
            begin, said = self._constants_of(event.event_name)
        end = b"]" if offset is None else b',"%b"]' % offset.encode()
        told = b"%b%d%b" % (self._acknowledge, int(request), said)
        head = head_of_text(len(begin) + len(body) + len(end))
        head_told = head_of_text(len(told) + len(body) + len(_TOLD))
        return Frame(b"".join((head, begin, body, end, head_told, told, body, _TOLD)))

    def _constants_of(self, name: str) -> tuple[bytes, bytes]:
        """What is before the body in an answer, and, behind the id, in its acknowledgement."""
        escaped = json_encoder.encode(name)
        constants = self._constants[name] = (
            b"%b[%b," % (self._head(PacketType.EVENT), escaped),
            b'[{"ok":true,"event":%b,"data":' % escaped,
        )
        return constants

    def acknowledgement(self, request: RequestId, arguments: Sequence[Any]) -> Frame:
        return self._frame(PacketType.ACK, str(request).encode(), *extract(arguments))

    def connect(self, sid: str, pid: str | None = None) -> Frame:
        """The server's word that the socket is connected; see `connect_body`."""
        return self._control(PacketType.CONNECT, connect_body(sid, pid))

    def connect_error(self, body: dict[str, Any]) -> Frame:
        """The server's refusal: `{message, data?}`."""
        return self._control(PacketType.CONNECT_ERROR, body)

    def disconnect(self) -> Frame:
        """The server's final word to this socket: a stock client does not come back by itself."""
        return frame_of(self._head(PacketType.DISCONNECT))

    def _control(self, type_: PacketType, body: dict[str, Any]) -> Frame:
        return frame_of(self._head(type_) + json_encoder.encode(body))

    def _frame(
        self, type_: PacketType, id_: bytes, values: Sequence[Any], attachments: Sequence[bytes]
    ) -> Frame:
        if attachments:
            head = self._head(type_ + _BINARY, b"%d-" % len(attachments))
        else:
            head = self._head(type_)
        return frame_of(head + id_ + json_encoder.encode(values), attachments)

    def _head(self, type_: int, count: bytes = b"") -> bytes:
        return b"%b%d%b%b" % (MESSAGE.encode(), type_, count, self._address)


def event_values(name: str, arguments: Sequence[Any], offset: str | None) -> tuple[Any, ...]:
    """What an event packet carries; a client that resumes looks for the offset at its end."""
    return (name, *arguments) if offset is None else (name, *arguments, offset)


def connect_body(sid: str, pid: str | None) -> dict[str, Any]:
    """What a client that is let in is told: its id, and the private one that it may resume by."""
    return {"sid": sid} if pid is None else {"sid": sid, "pid": pid}


@cache
def json_format(namespace: str) -> JSONFormat:
    """The format of one configured namespace; the same object for every socket in it."""
    return JSONFormat(namespace)
