"""A server to measure fan-out on: room `bench:<name>`, and `bench_publish` that floods it.

    python benchmarks/fanout_server.py --port 8095

Full sessions over Socket.IO's wire: authentication (any token `demo-<name>`), rooms, bounded
outboxes, receipts, recovery. Each published event is about 190 bytes long on the wire and starts
with the moment it was built (`t`, monotonic nanoseconds), so that a load generator can tell the
delay of a delivery.
"""

from __future__ import annotations

import argparse
import time
from itertools import count

import uvicorn

from lbproto import Admission, Context, Event, Identity, Model, Plugin, Server, Unauthorized
from lbproto.asgi.uvicorn import WebSocketProtocol
from lbproto.wire import Peer


class BenchPublish(Event):
    """Ask for `count` events to everyone in `room`."""

    room: str
    count: int


class Kline(Model):
    """The part of the payload that makes it as long as a real one."""

    i: str
    o: str
    c: str
    h: str
    l: str  # noqa: E741 - the field's name in the feeds that this imitates
    v: str
    n: int
    x: bool


class Candle(Event):
    """One of the events to deliver."""

    t: int
    seq: int
    s: str
    k: Kline


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
            room.emit(_candle(next(numbers)))

    return plugin


def _candle(number: int) -> Candle:
    kline = Kline(
        i="1m",
        o="67012.51000000",
        c="67013.22000000",
        h="67020.00000000",
        l="67000.10000000",
        v="12.34567000",
        n=153,
        x=False,
    )
    return Candle(t=time.monotonic_ns(), seq=number, s="BTCUSDT", k=kline)


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8095)
    parser.add_argument("--loop", choices=("auto", "asyncio", "uvloop"), default="auto")
    options = parser.parse_args()
    # A load generator is one user with as many clients as it likes.
    admission = Admission(max_sessions_per_user=1_000_000)
    server = Server([bench()], auth=DemoTokens(), admission=admission)
    uvicorn.run(
        server.asgi(),
        port=options.port,
        loop=options.loop,
        ws=WebSocketProtocol,
        ws_per_message_deflate=False,
        log_level="warning",
        backlog=4096,
    )


if __name__ == "__main__":
    main()
