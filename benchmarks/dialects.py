"""What the load generator says on each wire; `lbproto.load.Dialect` tells what the fields mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lbproto.load.dialect import Dialect, plain, socketio

__all__ = ["ROOM", "WIRES", "dialect"]

ROOM = "bench:r0"
"""The room that is flooded."""

_TOKEN = "demo-bench"  # noqa: S105 - the server takes any such
_EVENT, _MOMENT = "candle", "t"
_ORDER = '{"symbol":"BTCUSDT","side":"buy","qty":1.5,"price":67012.5}'
_PATH = "/socket.io/?EIO=4&transport=websocket"
_HEARTBEAT = ("2", "3")


def dialect(wire: str, payload: int) -> Dialect:
    """What is said on a wire to get events of `payload` bytes.

    Args:
        wire: one of `WIRES`.
    """
    return WIRES[wire](payload)


def _data(payload: int) -> str:
    return f'{{"room":"{{room}}","count":{{count}},"size":{payload}}}'


def _socketio(payload: int) -> Dialect:
    """lbproto over Socket.IO. The order is answered by an event and an acknowledgement."""
    made = socketio(
        _TOKEN, event=_EVENT, publish="bench_publish", data=_data(payload), timestamp=_MOMENT
    )
    return replace(made, request=f'422["place_order",{_ORDER}]', answered="432[")


def _msgpack(payload: int) -> Dialect:
    """The same with the MessagePack parser: everything but the handshake is packed."""
    return Dialect(
        path=_PATH,
        opening=(
            ('{"sid"', f'{{"type":0,"nsp":"/","data":{{"token":"{_TOKEN}"}}}}'),
            (b"\xa4type\x00", None),
        ),
        subscribe='{"type":2,"nsp":"/","id":1,"data":["subscribe",{"room":"{room}"}]}',
        subscribed=b"\xa4type\x03",
        publish=f'{{"type":2,"nsp":"/","data":["bench_publish",{_data(payload)}]}}',
        request=f'{{"type":2,"nsp":"/","id":2,"data":["place_order",{_ORDER}]}}',
        answered=b"\xa4type\x03",
        marker=b"\xa6candle",
        timestamp=_MOMENT,
        heartbeat=_HEARTBEAT,
        packed=True,
    )


def _plain(payload: int) -> Dialect:
    """lbproto's plain WebSocket."""
    made = plain(
        _TOKEN, event=_EVENT, publish="bench_publish", data=_data(payload), timestamp=_MOMENT
    )
    asked = f'{{"event":"place_order","data":{_ORDER},"id":2}}'
    return replace(made, request=asked, answered='{"event":"order_placed"')


def _events(payload: int) -> Dialect:
    """Other Socket.IO servers, whose handlers acknowledge."""
    return Dialect(
        path=_PATH,
        opening=(("0", "40"), ("40", None)),
        subscribe='421["sub","{room}"]',
        subscribed="431",
        publish=f'42["pub","{{room}}",{{count}},{payload}]',
        request=f'422["order",{_ORDER}]',
        answered="432",
        marker=f'42["{_EVENT}"',
        timestamp=_MOMENT,
        heartbeat=_HEARTBEAT,
    )


def _text(payload: int) -> Dialect:
    """Servers without a protocol of their own; see `benchmarks.peers`."""
    return Dialect(
        path="/",
        subscribe="S {room}",
        subscribed="OK",
        publish=f"P {{room}} {{count}} {payload}",
        request=f'{{"id":123,"method":"order.place","params":{_ORDER}}}',
        answered='{"id":123',
        marker='{"t":',
        timestamp=_MOMENT,
    )


WIRES: dict[str, Callable[[int], Dialect]] = {
    "socketio": _socketio,
    "msgpack": _msgpack,
    "plain": _plain,
    "events": _events,
    "text": _text,
}
"""By name, each for a length of payload in bytes."""
