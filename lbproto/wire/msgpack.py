"""Socket.IO v5 packets in the form of the `socket.io-msgpack-parser`: one MessagePack map each.

Source: socketio/socket.io-msgpack-parser. JavaScript's `undefined` arrives as extension type 0 and
stands for a field that is absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
from msgspec import Raw

from lbproto.frame import Frame, Message, message_frame
from lbproto.wire.arguments import MsgpackArguments
from lbproto.wire.formats import RequestId, WireFormat, msgpack_encoder
from lbproto.wire.settings import ProtocolError
from lbproto.wire.socketio import Packet, PacketType, connect_body, event_values

__all__ = ["MsgpackDecoder", "MsgpackFormat", "msgpack_format", "without_undefined"]

_EXTENSION_ZERO = b"\xd4\x00"  # fixext 1, type 0: how `undefined` begins
_NULL = b"\xc0"


class _Packet(msgspec.Struct):
    type: int
    nsp: str
    data: Raw = Raw(_NULL)
    id: int | None = None


_packet = msgspec.msgpack.Decoder(_Packet)
_raws = msgspec.msgpack.Decoder(list[Raw])
_name = msgspec.msgpack.Decoder(str)


class MsgpackDecoder:
    """Packets from Engine.IO messages."""

    __slots__ = ()

    def receive(self, message: Message) -> Packet:
        """Take one message; every one is a whole packet.

        Raises:
            ProtocolError: this is not a packet.
        """
        if isinstance(message, str):
            raise ProtocolError("a text packet on a MessagePack connection")
        try:
            packet = _packet.decode(without_undefined(message))
            return _read(packet)
        except (msgspec.DecodeError, RecursionError, IndexError, UnicodeDecodeError):
            raise ProtocolError("the packet is malformed") from None


def _read(packet: _Packet) -> Packet:
    if packet.type == PacketType.CONNECT:
        if bytes(packet.data) != _NULL:
            msgspec.msgpack.decode(packet.data, type=dict[str, Raw])
        return Packet("", MsgpackArguments([packet.data]), None, PacketType.CONNECT, packet.nsp)
    if packet.type == PacketType.DISCONNECT:
        return Packet("", MsgpackArguments(()), None, PacketType.DISCONNECT, packet.nsp)
    if packet.type not in (PacketType.EVENT, PacketType.ACK):
        raise ProtocolError("unknown packet type")
    type_ = PacketType(packet.type)
    raws = _raws.decode(packet.data)
    if packet.id is not None and packet.id < 0:
        raise ProtocolError("a negative acknowledgement id")
    if type_ is PacketType.ACK:
        if packet.id is None:
            raise ProtocolError("an acknowledgement names no request")
        return Packet("", MsgpackArguments(raws), packet.id, type_, packet.nsp)
    return Packet(_name.decode(raws[0]), MsgpackArguments(raws[1:]), packet.id, type_, packet.nsp)


def without_undefined(data: bytes) -> bytes:
    """The same MessagePack value with every field that is `undefined` left out.

    In a list, where leaving it out would move its neighbours, it becomes null, as in JSON.

    Raises:
        msgspec.DecodeError: `data` is not MessagePack.
        RecursionError: it is nested too deeply.
    """
    if _EXTENSION_ZERO not in data:
        return data
    return msgpack_encoder.encode(_strip(msgspec.msgpack.decode(data)))


def _strip(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _strip(item) for key, item in value.items() if not _is_undefined(item)}
    if isinstance(value, list):
        return [None if _is_undefined(item) else _strip(item) for item in value]
    return value


def _is_undefined(value: Any) -> bool:
    return isinstance(value, msgspec.msgpack.Ext) and value.code == 0


class MsgpackFormat(WireFormat):
    """The MessagePack form, in one namespace."""

    __slots__ = ("_namespace",)
    is_msgpack = True

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace

    def event(
        self,
        name: str,
        arguments: Sequence[Any],
        *,
        answers: RequestId | None = None,  # noqa: ARG002 - Socket.IO answers by acknowledgement
        asks: int | None = None,
        offset: str | None = None,
    ) -> Frame:
        return self._frame(PacketType.EVENT, event_values(name, arguments, offset), asks)

    def acknowledgement(self, request: RequestId, arguments: Sequence[Any]) -> Frame:
        return self._frame(PacketType.ACK, arguments, request)

    def connect(self, sid: str, pid: str | None = None) -> Frame:
        """The server's word that the socket is connected; see `connect_body`."""
        return self._frame(PacketType.CONNECT, connect_body(sid, pid))

    def connect_error(self, body: dict[str, Any]) -> Frame:
        """The server's refusal: `{message, data?}`."""
        return self._frame(PacketType.CONNECT_ERROR, body)

    def disconnect(self) -> Frame:
        """The server's final word to this socket: a stock client does not come back by itself."""
        return self._frame(PacketType.DISCONNECT, None)

    def _frame(self, type_: PacketType, data: Any, id_: RequestId | None = None) -> Frame:
        packet = {"type": int(type_), "nsp": self._namespace}
        if data is not None:
            packet["data"] = data
        if id_ is not None:
            packet["id"] = id_
        message = msgpack_encoder.encode(packet)
        return Frame(message_frame(message))


@cache
def msgpack_format(namespace: str) -> MsgpackFormat:
    """The format of one configured namespace; the same object for every socket in it."""
    return MsgpackFormat(namespace)
