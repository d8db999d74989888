"""Codecs: a request decoded and checked, an event encoded, on every wire.

The floor is msgspec alone: the payload and nothing of a protocol around it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from benchmarks.lbproto_server import PlaceOrder, candle
from benchmarks.micro.operation import Operation, Prepared, calling
from lbproto.wire import Settings, WireFormat
from lbproto.wire.msgpack import MsgpackDecoder, msgpack_format
from lbproto.wire.plain import PLAIN_JSON, PLAIN_MSGPACK, PlainFormat
from lbproto.wire.socketio import JSONDecoder, json_format

__all__ = ["OPERATIONS"]

DECODE, ENCODE = "decode a request", "encode an event"
_PAYLOAD = {"symbol": "BTCUSDT", "side": "buy", "qty": 1.5, "price": 67012.5}
_OFFSET = "3f2a-41"
_SIZE = 190


def _event(format_: WireFormat) -> Prepared:
    event = candle(1, _SIZE)
    return calling(lambda: format_.event("candle", (event,), offset=_OFFSET))


def _request(receive: Callable[[Any], Any], message: str | bytes) -> Prepared:
    return calling(lambda: receive(message).arguments.first(PlaceOrder))


def _socketio_request() -> Prepared:
    text = msgspec.json.encode(["place_order", _PAYLOAD]).decode()
    return _request(JSONDecoder(Settings()).receive, f"2{text}")


def _msgpack_request() -> Prepared:
    packet = {"type": 2, "nsp": "/", "data": ["place_order", _PAYLOAD]}
    return _request(MsgpackDecoder().receive, msgspec.msgpack.encode(packet))


def _plain_request(format_: PlainFormat, encode: Callable[[Any], str | bytes]) -> Prepared:
    return _request(format_.decode, encode({"event": "place_order", "data": _PAYLOAD}))


def _json_text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _floor_request() -> Prepared:
    decoder = msgspec.json.Decoder(PlaceOrder)
    return calling(decoder.decode, msgspec.json.encode(_PAYLOAD))


def _floor_event() -> Prepared:
    return calling(msgspec.json.Encoder().encode, candle(1, _SIZE))


def _peer_request() -> Prepared:
    from socketio.packet import Packet

    text = _json_text(["place_order", _PAYLOAD])
    return calling(lambda: Packet(encoded_packet=f"2{text}"))


def _peer_event() -> Prepared:
    from engineio.packet import MESSAGE
    from engineio.packet import Packet as EnginePacket
    from socketio.packet import EVENT, Packet

    payload = msgspec.to_builtins(candle(1, _SIZE))

    def encode() -> str | bytes:
        packet = Packet(packet_type=EVENT, data=["candle", payload], namespace="/").encode()
        encoded: str | bytes = EnginePacket(MESSAGE, data=packet).encode()
        return encoded

    return calling(encode)


OPERATIONS = (
    Operation(DECODE, "floor", _floor_request),
    Operation(DECODE, "lbproto", _socketio_request),
    Operation(DECODE, "lbproto-msgpack", _msgpack_request),
    Operation(DECODE, "lbproto-plain", partial(_plain_request, PLAIN_JSON, _json_text)),
    Operation(
        DECODE, "lbproto-packed", partial(_plain_request, PLAIN_MSGPACK, msgspec.msgpack.encode)
    ),
    Operation(DECODE, "python-socketio", _peer_request),
    Operation(ENCODE, "floor", _floor_event),
    Operation(ENCODE, "lbproto", lambda: _event(json_format("/"))),
    Operation(ENCODE, "lbproto-msgpack", lambda: _event(msgpack_format("/"))),
    Operation(ENCODE, "lbproto-plain", lambda: _event(PLAIN_JSON)),
    Operation(ENCODE, "lbproto-packed", lambda: _event(PLAIN_MSGPACK)),
    Operation(ENCODE, "python-socketio", _peer_event),
)
"""Both, on every wire."""
