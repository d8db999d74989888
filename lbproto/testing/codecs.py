"""The client's side of each wire: what it sends, and what it makes of what it is sent. No I/O.

Written from the protocols' texts, not from the server's codecs: a mistake there shows here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, Protocol

import msgspec

from lbproto.frame import Message
from lbproto.wire.attachments import extract, restore

__all__ = ["CODECS", "PONG", "Codec", "Heard", "Wire"]

Wire = Literal["socketio-json", "socketio-msgpack", "plain-json", "plain-msgpack"]
"""What a client speaks: Socket.IO with either parser, or plain WebSocket in either subprotocol."""

Kind = Literal["open", "ping", "connect", "refused", "disconnect", "event", "ack"]


class Heard(NamedTuple):
    """What one packet from the server says.

    Attributes:
        kind: `open` is Engine.IO's handshake, `connect` and `refused` answer the wish to connect.
        event: its name, where it is one.
        data: the payload; of an acknowledgement its body.
        offset: where a client resumes that got this last; None for none.
        re: the request that this answers.
        asks: what to call this event when acknowledging it; None where nobody asks for that.
    """

    kind: Kind
    event: str = ""
    data: Any = None
    offset: str | None = None
    re: int | None = None
    asks: int | None = None


class Codec(Protocol):
    """One connection's codec.

    Attributes:
        greets: whether the server speaks first.
    """

    greets: bool

    def connect(self, auth: Mapping[str, Any]) -> list[Message]:
        """Ask to be let in."""
        ...

    def event(self, name: str, data: Any, id_: int | None = None) -> list[Message]:
        """A request; with an id, one that asks for an acknowledgement."""
        ...

    def acknowledge(self, asked: int, data: Any) -> list[Message]:
        """Acknowledge an event that asked for it."""
        ...

    def disconnect(self) -> list[Message]:
        """What is said before the transport is closed on purpose."""
        ...

    def receive(self, message: Message) -> Heard | None:
        """Take a message; None where more must come, or where it says nothing.

        Raises:
            ValueError, LookupError, TypeError: no client could read it.
        """
        ...


PONG = "3"
_CONNECT, _DISCONNECT, _EVENT, _ACK, _CONNECT_ERROR, _BINARY_EVENT, _BINARY_ACK = range(7)

_PACKET = re.compile(r"(?P<type>[0-6])(?:(?P<count>\d+)-)?(?P<id>\d+)?(?P<body>.*)", re.DOTALL)


def _heard(type_: int, id_: int | None, body: Any) -> Heard:
    """What a Socket.IO packet says."""
    if type_ == _EVENT:
        name, data, *rest = body if len(body) > 1 else [*body, None]
        if len(rest) > 1 or not all(isinstance(last, str) for last in rest):
            raise ValueError("an event carries its payload and an offset, nothing else")
        return Heard("event", name, data, rest[0] if rest else None, None, id_)
    if type_ == _ACK:
        return Heard("ack", "", body[0] if body else None, re=id_)
    kinds: dict[int, Kind] = {
        _CONNECT: "connect",
        _DISCONNECT: "disconnect",
        _CONNECT_ERROR: "refused",
    }
    return Heard(kinds[type_], data=body)


class _SocketIO:
    greets = True

    def event(self, name: str, data: Any, id_: int | None = None) -> list[Message]:
        return self._packet(_EVENT, [name, data], id_)

    def connect(self, auth: Mapping[str, Any]) -> list[Message]:
        return self._packet(_CONNECT, auth)

    def acknowledge(self, asked: int, data: Any) -> list[Message]:
        return self._packet(_ACK, [data], asked)

    def disconnect(self) -> list[Message]:
        return self._packet(_DISCONNECT, None)

    def receive(self, message: Message) -> Heard | None:
        if isinstance(message, str):
            if message.startswith("0"):
                return Heard("open", data=msgspec.json.decode(message[1:]))
            if message.startswith("2"):
                return Heard("ping")
        return self._receive(message)

    def _packet(self, type_: int, data: Any, id_: int | None = None) -> list[Message]:
        raise NotImplementedError

    def _receive(self, message: Message) -> Heard | None:
        raise NotImplementedError


class _SocketIOJSON(_SocketIO):
    def __init__(self) -> None:
        self._buffers: list[bytes] = []
        self._head: tuple[int, int, int | None, Any] | None = None

    def _packet(self, type_: int, data: Any, id_: int | None = None) -> list[Message]:
        (body,), attachments = extract([data])
        count = f"{len(attachments)}-" if attachments else ""
        type_ = type_ + _BINARY_EVENT - _EVENT if attachments else type_
        text = "" if data is None else msgspec.json.encode(body).decode()
        return [f"4{type_}{count}{'' if id_ is None else id_}{text}", *attachments]

    def _receive(self, message: Message) -> Heard | None:
        if isinstance(message, bytes):
            self._buffers.append(message)
        else:
            if self._head is not None or not message.startswith("4"):
                raise ValueError("neither a packet nor an attachment that was announced")
            match = _PACKET.fullmatch(message, 1)
            if match is None:
                raise ValueError("not a packet")
            body = msgspec.json.decode(match["body"]) if match["body"] else None
            id_ = None if match["id"] is None else int(match["id"])
            self._head = int(match["type"]), int(match["count"] or 0), id_, body
        if self._head is None:
            raise ValueError("an attachment that no packet announced")
        type_, count, id_, body = self._head
        if len(self._buffers) < count:
            return None
        buffers, self._buffers, self._head = self._buffers, [], None
        if type_ >= _BINARY_EVENT:
            type_, body = type_ - (_BINARY_EVENT - _EVENT), restore(body, buffers)
        return _heard(type_, id_, body)


class _SocketIOMsgpack(_SocketIO):
    def _packet(self, type_: int, data: Any, id_: int | None = None) -> list[Message]:
        packet = {"type": type_, "nsp": "/"}
        packet |= {} if data is None else {"data": data}
        packet |= {} if id_ is None else {"id": id_}
        return [msgspec.msgpack.encode(packet)]

    def _receive(self, message: Message) -> Heard | None:
        if isinstance(message, str):
            raise ValueError("text on a connection that speaks MessagePack")
        packet = msgspec.msgpack.decode(message)
        return _heard(packet["type"], packet.get("id"), packet.get("data"))


class _Plain:
    greets = False

    def __init__(self, encode: Callable[[Any], Message], decode: Callable[[Message], Any]) -> None:
        self._encode = encode
        self._decode = decode

    def connect(self, auth: Mapping[str, Any]) -> list[Message]:
        return self.event("authenticate", auth)

    def event(self, name: str, data: Any, id_: int | None = None) -> list[Message]:
        frame = {"event": name, "data": data} | ({} if id_ is None else {"id": id_})
        return [self._encode(frame)]

    def acknowledge(self, asked: int, data: Any) -> list[Message]:
        return [self._encode({"event": "ack", "re": asked, "data": data})]

    def disconnect(self) -> list[Message]:
        return []

    def receive(self, message: Message) -> Heard | None:
        frame = self._decode(message)
        unknown = frame.keys() - {"event", "data", "re", "id", "offset"}
        if unknown:
            raise ValueError(f"a frame has no field {unknown.pop()!r}")
        kind: Kind = "ack" if frame["event"] == "ack" else "event"
        event, data = frame["event"], frame["data"]
        return Heard(kind, event, data, frame.get("offset"), frame.get("re"), frame.get("id"))


def _plain_json() -> Codec:
    return _Plain(lambda frame: msgspec.json.encode(frame).decode(), msgspec.json.decode)


def _plain_msgpack() -> Codec:
    return _Plain(msgspec.msgpack.encode, _decode_msgpack)


def _decode_msgpack(message: Message) -> Any:
    if isinstance(message, str):
        raise ValueError("text on a connection that speaks MessagePack")
    return msgspec.msgpack.decode(message)


CODECS: dict[Wire, Callable[[], Codec]] = {
    "socketio-json": _SocketIOJSON,
    "socketio-msgpack": _SocketIOMsgpack,
    "plain-json": _plain_json,
    "plain-msgpack": _plain_msgpack,
}
