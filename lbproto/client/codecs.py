"""The client's side of each wire: what it sends, and what it reads from what it is sent. No I/O.

It reads by the server's own decoders where there are any (`lbproto.wire`). So it is not proof that
those speak the protocol: that are the stock clients, and `lbproto.testing.codecs`, written anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol, TypeVar

import msgspec
from msgspec import Raw

from lbproto.client.payloads import JSONPayload, MsgpackPayload, Payload, PlainPayload
from lbproto.events import Event
from lbproto.frame import Message
from lbproto.wire.arguments import Inbound, JSONArguments
from lbproto.wire.attachments import extract
from lbproto.wire.engineio import CLOSE, MESSAGE, NOOP, OPEN, PING
from lbproto.wire.formats import json_encoder, msgpack_encoder
from lbproto.wire.plain import ACKNOWLEDGEMENT
from lbproto.wire.settings import ProtocolError, Settings
from lbproto.wire.socketio import JSONDecoder, PacketType

__all__ = ["CODECS", "Codec", "Heard", "Kind", "Wire"]

E = TypeVar("E", bound=Event)

Wire = Literal["plain-json", "plain-msgpack", "socketio-json", "socketio-msgpack"]
"""What a client speaks: plain WebSocket in either subprotocol, or Socket.IO with either parser."""

Kind = Literal["open", "ping", "nothing", "connect", "refused", "disconnect", "event", "ack"]

_UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)
_BINARY = PacketType.BINARY_EVENT - PacketType.EVENT


class Heard(msgspec.Struct, eq=False):
    """A decoded packet of the server.

    Attributes:
        kind: `open` is Engine.IO's handshake, `connect` and `refused` answer the wish to connect.
        payload: of an event; of an acknowledgement its body.
        name: the event's.
        offset: where a client resumes that got this last; None for none.
        re: the request that this answers.
        asks: what to call this event when acknowledging it; None where nobody asks for that.
        size: bytes that it counts for; kept by whoever reads messages.
    """

    kind: Kind
    payload: Payload
    name: str = ""
    offset: str | None = None
    re: int | None = None
    asks: int | None = None
    size: int = 0
    _typed: Event | None = None

    def typed(self, cls: type[E]) -> E:
        """The event as its class; decoded once.

        Raises:
            ProtocolError: it does not fit.
        """
        if type(self._typed) is not cls:
            try:
                self._typed = self.payload.into(cls)
            except ProtocolError as error:
                raise ProtocolError(f"`{self.name}` is not a {cls.__qualname__}: {error}") from None
        assert isinstance(self._typed, cls)  # noqa: S101 - made just now
        return self._typed


class Codec(Protocol):
    """One connection's codec.

    Attributes:
        subprotocol: what is agreed on in the handshake; None for nothing.
        greets: whether the server speaks first, and pings by messages.
    """

    subprotocol: str | None
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
        """What is said before the websocket is closed on purpose."""
        ...

    def receive(self, message: Message) -> Heard | None:
        """Take a message; None where more must come.

        Raises:
            ProtocolError: no client could read it.
        """
        ...


class _PlainFrame(msgspec.Struct):
    event: str
    data: Raw = Raw(b"")
    re: int | None = None
    id: int | None = None
    offset: str | None = None


class _Plain:
    greets = False

    def __init__(
        self,
        subprotocol: str,
        encode: Callable[[Any], Message],
        decode: Callable[[Message], _PlainFrame],
        payload: Callable[[Raw], Payload],
    ) -> None:
        self.subprotocol: str | None = subprotocol
        self._encode = encode
        self._decode = decode
        self._payload = payload

    def connect(self, auth: Mapping[str, Any]) -> list[Message]:
        return self.event("authenticate", auth)

    def event(self, name: str, data: Any, id_: int | None = None) -> list[Message]:
        frame = {"event": name, "data": data} | ({} if id_ is None else {"id": id_})
        return [self._encode(frame)]

    def acknowledge(self, asked: int, data: Any) -> list[Message]:
        return [self._encode({"event": ACKNOWLEDGEMENT, "re": asked, "data": data})]

    def disconnect(self) -> list[Message]:
        return []

    def receive(self, message: Message) -> Heard:
        try:
            frame = self._decode(message)
        except _UNREADABLE as error:
            raise _malformed(error) from None
        kind: Kind = "ack" if frame.event == ACKNOWLEDGEMENT else "event"
        payload = self._payload(frame.data)
        return Heard(kind, payload, frame.event, frame.offset, frame.re, frame.id)


def _malformed(error: Exception) -> ProtocolError:
    if isinstance(error, RecursionError):
        return ProtocolError("a message is nested too deeply")
    return ProtocolError(f"a message cannot be read ({str(error)[:200]})")


_json_frame = msgspec.json.Decoder(_PlainFrame)
_msgpack_frame = msgspec.msgpack.Decoder(_PlainFrame)


def _read_text(message: Message) -> _PlainFrame:
    if isinstance(message, bytes):
        raise ProtocolError("a binary message on a connection that speaks JSON")
    return _json_frame.decode(message)


def _read_binary(message: Message) -> _PlainFrame:
    if isinstance(message, str):
        raise ProtocolError("text on a connection that speaks MessagePack")
    return _msgpack_frame.decode(message)


def _as_text(value: Any) -> str:
    return json_encoder.encode(value).decode()


class _SocketIO:
    """The common part of both parsers: Engine.IO's packets and their meaning."""

    greets = True
    subprotocol: str | None = None

    def connect(self, auth: Mapping[str, Any]) -> list[Message]:
        return self._packet(PacketType.CONNECT, auth)

    def event(self, name: str, data: Any, id_: int | None = None) -> list[Message]:
        return self._packet(PacketType.EVENT, [name, data], id_)

    def acknowledge(self, asked: int, data: Any) -> list[Message]:
        return self._packet(PacketType.ACK, [data], asked)

    def disconnect(self) -> list[Message]:
        return self._packet(PacketType.DISCONNECT, None)

    def receive(self, message: Message) -> Heard | None:
        if isinstance(message, str) and message[:1] != MESSAGE:
            return self._control(message)
        try:
            return self._receive(message)
        except _UNREADABLE as error:
            raise _malformed(error) from None

    def _control(self, packet: str) -> Heard:
        kind = packet[:1]
        if kind == OPEN:
            return Heard("open", JSONPayload(Raw(packet[1:].encode())))
        if kind == PING:
            return Heard("ping", _NOTHING)
        if kind in (NOOP, CLOSE):  # the websocket's own end follows
            return Heard("nothing", _NOTHING)
        raise ProtocolError(f"no such packet: {packet[:20]!r}")

    def _packet(self, type_: PacketType, data: Any, id_: int | None = None) -> list[Message]:
        raise NotImplementedError

    def _receive(self, message: Message) -> Heard | None:
        raise NotImplementedError


_NOTHING = PlainPayload(None, str_keys=True)
_REFUSED = f"{MESSAGE}{PacketType.CONNECT_ERROR:d}"
_KINDS: dict[int, Kind] = {
    PacketType.CONNECT: "connect",
    PacketType.DISCONNECT: "disconnect",
    PacketType.EVENT: "event",
    PacketType.ACK: "ack",
    PacketType.CONNECT_ERROR: "refused",
}


class _SocketIOJSON(_SocketIO):
    def __init__(self, max_message: int) -> None:
        self._decoder = JSONDecoder(Settings(max_payload=max_message))

    def _packet(self, type_: PacketType, data: Any, id_: int | None = None) -> list[Message]:
        (body,), attachments = extract([data])
        count = f"{len(attachments)}-" if attachments else ""
        kind = int(type_) + (_BINARY if attachments else 0)
        text = "" if data is None else _as_text(body)
        return [f"{MESSAGE}{kind}{count}{'' if id_ is None else id_}{text}", *attachments]

    def _receive(self, message: Message) -> Heard | None:
        if isinstance(message, bytes):
            packet = self._decoder.receive(message)
        elif message.startswith(_REFUSED):
            return Heard("refused", JSONPayload(Raw(message[len(_REFUSED) :].encode())))
        else:
            packet = self._decoder.receive(message[1:])
        if packet is None:
            return None
        return _heard(_KINDS[packet.type], packet, *_arguments(packet))


def _arguments(packet: Inbound) -> tuple[Payload, str | None]:
    """What a packet in JSON carries: the first argument, and the offset at its end, if any."""
    arguments = packet.arguments
    if isinstance(arguments, JSONArguments):
        first = JSONPayload(arguments.raws[0] if arguments.raws else Raw(b""))
        rest = [msgspec.json.decode(raw) for raw in arguments.raws[1:2]]
        return first, _offset(rest)
    values = arguments.values()
    return PlainPayload(values[0] if values else None, str_keys=True), _offset(values[1:2])


def _offset(rest: list[Any]) -> str | None:
    return rest[0] if rest and isinstance(rest[0], str) else None


def _heard(kind: Kind, packet: Inbound, payload: Payload, offset: str | None) -> Heard:
    id_ = packet.id if isinstance(packet.id, int) else None
    if kind == "event":
        return Heard(kind, payload, packet.name, offset, None, id_)
    return Heard(kind, payload, re=id_)


class _MsgpackPacket(msgspec.Struct):
    type: int
    data: Raw = Raw(b"")
    id: int | None = None


_msgpack_packet = msgspec.msgpack.Decoder(_MsgpackPacket)
_msgpack_raws = msgspec.msgpack.Decoder(list[Raw])


class _SocketIOMsgpack(_SocketIO):
    def _packet(self, type_: PacketType, data: Any, id_: int | None = None) -> list[Message]:
        packet = {"type": int(type_), "nsp": "/"}
        packet |= {} if data is None else {"data": data}
        packet |= {} if id_ is None else {"id": id_}
        return [msgpack_encoder.encode(packet)]

    def _receive(self, message: Message) -> Heard:
        if isinstance(message, str):
            raise ProtocolError("text on a connection that speaks MessagePack")
        packet = _msgpack_packet.decode(message)
        kind = _KINDS.get(packet.type)
        if kind is None:
            raise ProtocolError(f"no such packet: type {packet.type}")
        if kind not in ("event", "ack"):
            return Heard(kind, MsgpackPayload(packet.data))
        raws = _msgpack_raws.decode(packet.data)
        if kind == "ack":
            return Heard(kind, MsgpackPayload(raws[0] if raws else Raw(b"")), re=packet.id)
        if not raws:
            raise ProtocolError("an event has no name")
        name: str = msgspec.msgpack.decode(raws[0], type=str)
        payload = MsgpackPayload(raws[1] if len(raws) > 1 else Raw(b""))
        offset = _offset([msgspec.msgpack.decode(raw) for raw in raws[2:3]])
        return Heard(kind, payload, name, offset, None, packet.id)


CODECS: dict[Wire, Callable[[int], Codec]] = {
    "plain-json": lambda _: _Plain("lbproto.v1.json", _as_text, _read_text, JSONPayload),
    "plain-msgpack": lambda _: _Plain(
        "lbproto.v1.msgpack", msgpack_encoder.encode, _read_binary, MsgpackPayload
    ),
    "socketio-json": _SocketIOJSON,
    "socketio-msgpack": lambda _: _SocketIOMsgpack(),
}
"""Makes the codec of a connection, given the largest message that is taken."""
