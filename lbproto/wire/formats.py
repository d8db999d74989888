"""Wire formats, outbound: what an event looks like to one kind of client.

A broadcast asks each format in use for one frame and hands the same frame to every recipient that
speaks it. Formats are interned: two sockets of the same kind have the same object.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import msgspec

from lbproto.encoded import json_hook, msgpack_hook
from lbproto.events import Event
from lbproto.frame import Frame

__all__ = ["RequestId", "WireFormat", "json_encoder", "msgpack_encoder"]

RequestId = int | str
"""What a client calls its request: a Socket.IO acknowledgement id, a plain WebSocket's `id`."""


class WireFormat(ABC):
    """How one kind of client reads events.

    Attributes:
        answers_acknowledge: an answer to a request is by itself its acknowledgement, so that none
            is sent beside it.
        is_msgpack: values are MessagePack; else JSON.
    """

    __slots__ = ()
    answers_acknowledge: bool = False
    is_msgpack: bool = False

    @abstractmethod
    def event(
        self,
        name: str,
        arguments: Sequence[Any],
        *,
        answers: RequestId | None = None,
        asks: int | None = None,
        offset: str | None = None,
    ) -> Frame:
        """An event with its arguments: structs or plain values.

        Args:
            answers: the request this is an answer to, where the format can say so.
            asks: the client is asked to acknowledge it, by this id.
            offset: where a client that got this far resumes; None for an event that cannot be
                sent again.
        """

    def typed(self, event: Event, answers: RequestId | None, offset: str | None) -> Frame:
        """An event of the registry, which is its own only argument; see `event`."""
        return self.event(event.event_name, (event,), answers=answers, offset=offset)

    def answer(self, event: Event, request: RequestId, offset: str | None) -> Frame:
        """An event that answers a request, and the acknowledgement of the request behind it."""
        name = event.event_name
        body = {"ok": True, "event": name, "data": event}
        answer = self.event(name, (event,), answers=request, offset=offset)
        acknowledgement = self.acknowledgement(request, (body,))
        return Frame(answer.data + acknowledgement.data)

    @abstractmethod
    def acknowledgement(self, request: RequestId, arguments: Sequence[Any]) -> Frame:
        """The acknowledgement of a request."""


json_encoder = msgspec.json.Encoder(enc_hook=json_hook)
msgpack_encoder = msgspec.msgpack.Encoder(enc_hook=msgpack_hook)
