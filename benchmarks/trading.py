"""The whole path of a trade: from a feed, into candles, to everybody who looks at the chart.

    python -m benchmarks.trading [SECONDS]

A simulated feed trades one symbol at one venue, and so many clients are in the room of its 1s
chart. Beside it a server that tells as many clients as much as often, and knows nothing of candles:
what is above that is the market's. An open candle is told ten times a second at most, however many
trades there are.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import uvicorn

from benchmarks.machine import LOAD_CORE, on_core
from benchmarks.rows import Row
from benchmarks.servers import running
from lbproto import Plugin, Server, StaticTokens
from lbproto.asgi.uvicorn import WebSocketProtocol
from lbproto.load import Crowd, FanOut, listen, socketio
from lbproto_market import MarketChartLiveUpdate, SimulatedFeed, market

_SYMBOL = "AB"
_ROOM = f"market:{_SYMBOL}:1s"
_RATES = (5.0, 50.0)
_CLIENTS = (1, 1000)
_DIALECT = socketio("bench", event="market_chart_live_update")


def trading(rate: float) -> Server:
    """A server with a market of so many trades a second."""
    feed = SimulatedFeed({_SYMBOL: 100.0}, venues=["simulated"], rate=rate)
    return Server([market(feed, always=[_SYMBOL])], auth=StaticTokens({"bench": "bench"}))


def telling(rate: float) -> Server:
    """A server that tells an update so many times a second."""

    @asynccontextmanager
    async def tell(server: Server) -> AsyncIterator[None]:
        async def run() -> None:
            while True:
                await anyio.sleep(1 / rate)
                server.to(_ROOM).emit(update)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            yield
            tasks.cancel_scope.cancel()

    update = MarketChartLiveUpdate(
        symbol=_SYMBOL,
        open=100.01,
        high=100.12,
        low=99.87,
        close=100.07,
        volume=12.345,
        timestamp="2026-01-20T12:00:00.000Z",
        resolution="1s",
        closed=False,
        trades=17,
        revision=0,
    )
    plugin = Plugin("telling", lifespan=tell)
    plugin.emits(MarketChartLiveUpdate)
    plugin.room("market:{symbol}:{resolution}", announce=False)(_joined)
    return Server([plugin], auth=StaticTokens({"bench": "bench"}))


async def _joined(_ctx: object, symbol: str, resolution: str) -> None:
    """Anybody may."""


def _measure(kind: str, rate: float, clients: int, seconds: float) -> FanOut:
    command = (sys.executable, "-m", "benchmarks.trading", kind, str(rate), "{port}")
    with (
        running(Row(kind, kind, command)) as server,
        on_core(LOAD_CORE),
        Crowd(server.url, _DIALECT, clients, process=server.process) as crowd,
    ):
        crowd.connect()
        crowd.subscribe(_ROOM)
        return listen(crowd, seconds=seconds)


def main(seconds: float) -> None:
    """Print what an update, and a delivery of it, costs."""
    print("            trades/s  clients  updates/s  µs per delivery  µs per update  of a core")
    for rate in _RATES:
        for clients in _CLIENTS:
            traded = _measure("trading", rate, clients, seconds)
            _show("with candles", f"{rate:g}", clients, traded)
            often = traded.per_second / clients
            if not often:  # few trades a second, measured for less than one
                print("told only     nothing was traded: measure for longer")
                continue
            _show("told only", "", clients, _measure("telling", often, clients, seconds))


def _show(name: str, rate: str, clients: int, heard: FanOut) -> None:
    delivery = heard.cpu_us or 0.0
    updates = heard.per_second / clients
    update = delivery * clients
    print(
        f"{name:<12}{rate:>8}  {clients:>7}  {updates:>9.1f}  {delivery:>15.2f}  {update:>13.0f}"
        f"  {updates * update / 1e6:>9.1%}"
    )


def _serve(server: Server, port: int) -> None:
    app = server.asgi()
    uvicorn.run(app, host="127.0.0.1", port=port, ws=WebSocketProtocol, log_level="warning")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["trading", rate, port]:
            _serve(trading(float(rate)), int(port))
        case ["telling", rate, port]:
            _serve(telling(float(rate)), int(port))
        case _:
            parser = argparse.ArgumentParser(
                description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
            )
            parser.add_argument("seconds", nargs="?", type=float, default=10.0)
            main(parser.parse_args().seconds)
