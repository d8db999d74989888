"""python-socketio: the Socket.IO server that Python has had so far."""

from __future__ import annotations

import os
from typing import Any

import socketio

from benchmarks.peers.payload import BROKER, candle

broker = os.environ.get(BROKER)
server = socketio.AsyncServer(
    async_mode="asgi",
    client_manager=socketio.AsyncRedisManager(broker) if broker else None,
    transports=["websocket"],
    cors_allowed_origins="*",
    http_compression=False,
    monitor_clients=False,
)


async def subscribe(sid: str, room: str) -> str:
    await server.enter_room(sid, room)
    return "OK"


async def publish(sid: str, room: str, count: int, size: int) -> None:
    for _ in range(count):
        await server.emit("candle", candle(size), room=room)


async def order(sid: str, request: dict[str, Any]) -> dict[str, Any]:
    if (
        not isinstance(request["symbol"], str)
        or request["side"] not in ("buy", "sell")
        or not isinstance(request["qty"], float)
        or not isinstance(request["price"], float)
    ):
        raise ValueError("not an order")
    return {
        "order_id": "A1B2C3D4",
        "symbol": request["symbol"],
        "status": "accepted",
        "filled": 0.0,
    }


for name, handler in (("sub", subscribe), ("pub", publish), ("order", order)):
    server.on(name, handler)
app = socketio.ASGIApp(server)
