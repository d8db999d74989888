"""A market of forty symbols, of which each deals so many candles in a hurry once it is told to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal

import anyio
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus

from lbproto import Clock, Context, Event, Plugin, Server, StaticTokens
from lbproto_market import Sink, Trade, market
from lbproto_market.charts import TELL_EVERY
from tests.e2e.app import USERS

SYMBOLS = [f"S{number:02}-USD" for number in range(40)]

CANDLES = 44  # of a second each that close; times the symbols, fewer than an outbox holds

_EVENT_MS = 250  # of event time between two trades of a symbol,
_GAP = 0.03  # which come after so many seconds


class Deal(Event):
    """Begin, and answer when all is dealt and told."""


class Dealt(Event):
    """How the clients have fared."""

    conflated: int
    dropped: int
    slow_consumers: int


class CrowdFeed:
    """See `lbproto_market.Feed`: each symbol's trades are a function of their number."""

    label = "numbers"
    symbols: Mapping[str, Collection[str]] = dict.fromkeys(SYMBOLS, ("venue",))

    def __init__(self) -> None:
        self.going = anyio.Event()
        self.done = 0

    async def check(self) -> None: ...

    async def run(
        self,
        symbol: str,
        sink: Sink,
        clock: Clock,
        *,
        task_status: TaskStatus[None] = TASK_STATUS_IGNORED,
    ) -> None:
        task_status.started()
        await self.going.wait()
        for number in range(CANDLES * 1000 // _EVENT_MS + 1):
            price = Decimal(100 + number * 7 % 13)
            sink.add([Trade(number * _EVENT_MS, number, "venue", price, Decimal(number))])
            await clock.sleep(_GAP)
        self.done += 1
        await anyio.sleep_forever()


def _dealing(feed: CrowdFeed) -> Plugin:
    plugin = Plugin("dealing")

    @plugin.on(Deal)
    async def deal(_ctx: Context, _request: Deal) -> Dealt:
        feed.going.set()
        while feed.done < len(SYMBOLS):  # noqa: ASYNC110 - nobody minds
            await anyio.sleep(_GAP)
        await anyio.sleep(2 * TELL_EVERY)  # until the last state is told
        numbers = server.statistics()
        return Dealt(
            conflated=numbers.outboxes.conflated,
            dropped=numbers.outboxes.dropped,
            slow_consumers=numbers.slow_consumers,
        )

    return plugin


_feed = CrowdFeed()
server = Server([market(_feed), _dealing(_feed)], auth=StaticTokens(USERS))
app = server.asgi()
