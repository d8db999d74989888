"""lbproto under measurement: a room that is flooded on request, and an order that is answered.

    python -m benchmarks.lbproto_server --port 8095

Full sessions: authentication (any token `demo-<name>`), rooms, bounded outboxes, receipts,
recovery. `app` is for any ASGI server; the command above runs the fastest, uvicorn with our
protocol class.
"""

from __future__ import annotations

import argparse
import os
import time
from itertools import count
from typing import TYPE_CHECKING, Literal

import uvicorn

from benchmarks.peers.payload import BROKER, FIXED, filler
from lbproto import Admission, Context, Event, Identity, Model, Plugin, Server, Unauthorized
from lbproto.asgi.uvicorn import WebSocketProtocol
from lbproto.wire import Peer

if TYPE_CHECKING:
    from lbproto.telemetry import Telemetry

__all__ = ["app", "bench", "server"]


class BenchPublish(Event):
    """Ask for `count` events of about `size` bytes to everyone in `room`."""

    room: str
    count: int
    size: int = FIXED


class Kline(Model):
    """The part of the payload that makes it as long as a real one."""

    i: str = "1m"
    o: str = "67012.51000000"
    c: str = "67013.22000000"
    h: str = "67020.00000000"
    l: str = "67000.10000000"  # noqa: E741 - the field's name in the feeds that this imitates
    v: str = "12.34567000"
    n: int = 153
    x: bool = False


class Candle(Event):
    """One of the events to deliver."""

    t: int
    seq: int
    s: str
    k: Kline
    f: str


class PlaceOrder(Event):
    """A request, checked when it is decoded."""

    symbol: str
    side: Literal["buy", "sell"]
    qty: float
    price: float


class OrderPlaced(Event):
    """What answers it."""

    order_id: str
    symbol: str
    status: str
    filled: float


class DemoTokens:
    """Any token `demo-<name>` is the user `<name>`."""

    async def authenticate(self, token: str, peer: Peer) -> Identity:
        if not token.startswith("demo-"):
            raise Unauthorized("the token is demo-<name>")
        return Identity(token.removeprefix("demo-"))


def bench() -> Plugin:
    """The plugin that is measured."""
    plugin = Plugin("bench")
    plugin.emits(Candle)
    numbers = count()

    @plugin.room("bench:{name}", announce=False)
    async def join(ctx: Context, name: str) -> None: ...

    @plugin.on(BenchPublish)
    async def publish(ctx: Context, request: BenchPublish) -> None:
        room = ctx.to(request.room)
        for _ in range(request.count):
            room.emit(candle(next(numbers), request.size))

    @plugin.on(PlaceOrder)
    async def place(ctx: Context, request: PlaceOrder) -> OrderPlaced:
        return OrderPlaced(
            order_id="A1B2C3D4", symbol=request.symbol, status="accepted", filled=0.0
        )

    return plugin


def candle(number: int, size: int) -> Candle:
    """An event whose payload has about `size` bytes."""
    return Candle(t=time.monotonic_ns(), seq=number, s="BTCUSDT", k=Kline(), f=filler(size))


def server(telemetry: Telemetry | None = None) -> Server:
    """The server that is measured."""
    # A load generator is one user with as many clients as it likes.
    admission = Admission(max_sessions_per_user=10**6)
    pubsub = None
    if broker := os.environ.get(BROKER):
        from lbproto.backends.redis_pubsub import RedisPubSub

        pubsub = RedisPubSub(broker)
    return Server(
        [bench()], auth=DemoTokens(), admission=admission, pubsub=pubsub, telemetry=telemetry
    )


app = server().asgi()


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8095)
    parser.add_argument("--loop", choices=("auto", "asyncio", "uvloop"), default="auto")
    options = parser.parse_args()
    uvicorn.run(
        app,
        port=options.port,
        loop=options.loop,
        ws=WebSocketProtocol,
        ws_per_message_deflate=False,
        log_level="warning",
        backlog=4096,
    )


if __name__ == "__main__":
    main()
