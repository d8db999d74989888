"""The server whose exchanges the documentation shows: all plugins, each on data that do not change.

It has what the demo has no example of: a trade comes when a test says so, long analyses have a
price, one user may ask for little, one question is never answered to its end, and there are rooms
whose members are told of each other.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from pathlib import Path

import anyio
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus

import lbproto_market
from lbproto import (
    Clock,
    Context,
    Event,
    Identity,
    Limits,
    Plugin,
    Server,
    StaticTokens,
    Tier,
    Window,
)
from lbproto.ledger.memory import MemoryLedger
from lbproto_chat import EmbeddedAnswerer, Layer, Question, Reply, chat
from lbproto_compliance import AddressAnalysis, compliance
from lbproto_credits import accounts
from lbproto_market import Sink, Trade, market
from lbproto_query import DuckDBEngine, bundled_catalogues, queries
from tests.contract.exchanges.payments import PRICES, made_store

USERS = ("alice", "bob", "trial", "backstage")

SYMBOL = "ETH-USDT"

ENDLESS = "Tell me everything"
"""What is never answered to its end."""

_HISTORY = 990  # of the 1,000 recorded trades; the others come one by one


class Grant(Event):
    """Give a user credits."""

    user_id: str
    amount: int
    reason: str


class Granted(Event):
    pass


class MakeTrade(Event):
    """Put in the next recorded trade."""


class TradeMade(Event):
    pass


class Steady:
    """The trades that come with the plugin, most of them as history; see `lbproto_market.Feed`."""

    label = "recorded trades of ETH-USDT"
    symbols: Mapping[str, Collection[str]] = {SYMBOL: ("binance",)}

    def __init__(self) -> None:
        self._wanted = 0
        self._more = anyio.Event()

    def make_trade(self) -> None:
        self._wanted += 1
        self._more.set()

    async def check(self) -> None: ...

    async def run(
        self,
        symbol: str,
        sink: Sink,
        clock: Clock,
        *,
        task_status: TaskStatus[None] = TASK_STATUS_IGNORED,
    ) -> None:
        trades = _trades()
        sink.add([next(trades) for _ in range(_HISTORY)])
        task_status.started()
        for trade in trades:
            while not self._wanted:
                self._more = anyio.Event()
                await self._more.wait()
            self._wanted -= 1
            sink.add([trade])


def _trades() -> Iterator[Trade]:
    file = Path(lbproto_market.__file__).with_name("data") / "eth-usdt-2023-02-02.csv.gz"
    with gzip.open(file, "rt") as rows:
        for number, row in enumerate(csv.DictReader(rows)):
            price, amount = Decimal(row["price"]), Decimal(row["amount"])
            yield Trade(int(row["timestamp_ms"]), number, "binance", price, amount)


class Talkative:
    """Answers about the data that come with the plugin; see `lbproto_chat.Answerer`."""

    def __init__(self, other: EmbeddedAnswerer) -> None:
        self._other = other

    async def answer(self, question: Question, reply: Reply) -> None:
        if question.text == ENDLESS:
            await reply.say("In the beginning ")
            await anyio.sleep_forever()
        await self._other.answer(question, reply)


def _chat() -> Plugin:
    catalogues = bundled_catalogues()
    engine = DuckDBEngine(catalogues)
    layer = catalogues.find("default").files[0].with_name("layer.toml")
    answerer = EmbeddedAnswerer(engine, {"default": Layer.load(layer)})
    return chat(Talkative(answerer), resources=engine)


def _compliance() -> Plugin:
    def price(request: AddressAnalysis) -> int:
        return 25 * request.hops if request.hops > 2 else 0

    return compliance(made_store(), prices=PRICES, price=price)


def _backstage(feed: Steady) -> Plugin:
    """What happens without a client of the documentation, and the rooms where they meet."""
    plugin = Plugin("backstage")

    @plugin.on(Grant)
    async def grant(ctx: Context, request: Grant) -> Granted:
        await ctx.credits.grant(request.user_id, request.amount, request.reason)
        return Granted()

    @plugin.on(MakeTrade)
    async def make_trade(ctx: Context, request: MakeTrade) -> TradeMade:
        feed.make_trade()
        return TradeMade()

    @plugin.room("desk:{name}")
    async def join(ctx: Context, name: str) -> None: ...

    return plugin


def _limits() -> Limits:
    tiers = {"trial": Tier(Window(2, 60)), "unlimited": Tier()}

    def tier(identity: Identity) -> str:
        return "trial" if identity.user_id == "trial" else "unlimited"

    return Limits(tiers=tiers, tier=tier, default="unlimited", per_session=None)


def _server() -> Server:
    feed = Steady()
    return Server(
        [
            queries(DuckDBEngine(bundled_catalogues())),
            market(feed, always=[SYMBOL]),  # it goes on, however long a test takes
            _compliance(),
            _chat(),
            accounts(),
            _backstage(feed),
        ],
        auth=StaticTokens({f"token-{name}": name for name in USERS}),
        credits=MemoryLedger(),
        limits=_limits(),
    )


app = _server().asgi()
