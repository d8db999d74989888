"""A feed that runs while the server does, and a slow client that only wants the newest state.

lbproto serve ticker:server
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from lbproto import Context, Event, Plugin, Server, StaticTokens, conflate


class Tick(Event):
    symbol: str
    price: int


def ticker(symbol: str, interval: float = 1.0) -> Plugin:
    price = 100

    @asynccontextmanager
    async def feed(server: Server) -> AsyncIterator[None]:
        async def run() -> None:
            nonlocal price
            while True:
                await server.clock.sleep(interval)
                price += 1
                server.to(f"ticks:{symbol}").emit(Tick(symbol, price))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            yield
            tasks.cancel_scope.cancel()

    plugin = Plugin("ticker", lifespan=feed)
    # Whoever reads slowly gets the newest tick of a symbol, not all that it missed.
    plugin.emits(Tick, overflow=conflate(lambda tick: tick.symbol))

    @plugin.room(f"ticks:{symbol}", announce=False)
    async def join(ctx: Context) -> Tick:
        return Tick(symbol, price)

    return plugin


server = Server(plugins=[ticker("ACME")], auth=StaticTokens({"secret": "alice"}))
