"""Servers whose clients spend credits; where those are kept is told by the environment."""

from __future__ import annotations

import os

import anyio

from lbproto import Context, Event, Plugin, Server, StaticTokens, SystemClock
from lbproto.cli.credits import open_store
from lbproto.ledger.memory import MemoryLedger
from lbproto_credits import accounts

STORE = "LBPROTO_TEST_CREDITS"
"""`memory`, or a store's URL as for `lbproto credits --store`."""
AHEAD = "LBPROTO_TEST_AHEAD"
"""How many seconds the server's clock is ahead."""

SPENDERS = 64
USERS = {f"token-{name}": name for name in ("ada", *(f"user{n}" for n in range(SPENDERS)))}


class Spend(Event):
    """Costs a credit."""

    number: int


class Spent(Event):
    number: int


class Hang(Event):
    """Costs five credits, once it is done; it never is."""


class Fill(Event):
    """Get credits."""

    amount: int


class Filled(Event):
    pass


def spending() -> Plugin:
    plugin = Plugin("spending")

    @plugin.on(Spend, price=1)
    async def spend(ctx: Context, request: Spend) -> Spent:
        await anyio.lowlevel.checkpoint()  # others run in the middle of it
        return Spent(number=request.number)

    @plugin.on(Hang, price=5)
    async def hang(ctx: Context, request: Hang) -> None:
        await anyio.sleep_forever()

    @plugin.on(Fill)
    async def fill(ctx: Context, request: Fill) -> Filled:
        await ctx.credits.grant(ctx.user_id, request.amount, "to be spent")
        return Filled()

    return plugin


class Ahead(SystemClock):
    """A clock that shows what will be."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def now(self) -> float:
        return SystemClock.now() + self._seconds


def build() -> Server:
    url = os.environ.get(STORE, "memory")
    return Server(
        [spending(), accounts()],
        auth=StaticTokens(USERS),
        credits=MemoryLedger() if url == "memory" else open_store(url),
        clock=Ahead(float(os.environ.get(AHEAD, "0"))),
    )


app = build().asgi()
