"""A feed for the property test: the bundled trades, fast, some late; clients may halt it."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from itertools import count
from pathlib import Path

import anyio
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus

import lbproto_market
from lbproto import Clock, Context, Event, Plugin
from lbproto_market import Sink, Trade

SYMBOL = "ETH-USDT"
VENUE = "binance"

RECORDING = Path(lbproto_market.__file__).parent / "data" / "eth-usdt-2023-02-02.csv.gz"
_LATE_EVERY = 40  # of so many trades one comes late,
_LATE_BY = 30  # after so many that were made later
_GAP = 0.004  # seconds between two trades, of which there are five in a second of event time
_HISTORY = 300


class Halt(Event):
    """Put in no trades from here on, or go on."""

    halted: bool


class Halted(Event):
    halted: bool


class FastFeed:
    """See `lbproto_market.Feed`."""

    label = "bundled trades, fast"
    symbols: Mapping[str, Collection[str]] = {SYMBOL: (VENUE,)}

    def __init__(self) -> None:
        self.going = anyio.Event()
        self.halted = False

    def halt(self, halted: bool) -> None:
        self.halted = halted
        if not halted:
            self.going.set()
            self.going = anyio.Event()

    async def check(self) -> None: ...

    async def run(
        self,
        symbol: str,
        sink: Sink,
        clock: Clock,
        *,
        task_status: TaskStatus[None] = TASK_STATUS_IGNORED,
    ) -> None:
        trades = _out_of_order(_trades())
        sink.add([next(trades) for _ in range(_HISTORY)])
        task_status.started()
        newest = 0
        for trade in trades:
            while self.halted:
                await self.going.wait()
            newest = max(newest, trade.timestamp_ms)
            sink.add([trade])
            sink.advance(newest)
            await clock.sleep(_GAP)


def _trades() -> Iterator[Trade]:
    """The recorded ones again and again, each time later and with ids of their own."""
    with gzip.open(RECORDING, "rt") as file:
        rows = list(csv.DictReader(file))
    times = [int(row["timestamp_ms"]) for row in rows]
    length = times[-1] - times[0] + 1000
    for loop in count():
        for number, (row, time) in enumerate(zip(rows, times, strict=True)):
            price, amount = Decimal(row["price"]), Decimal(row["amount"])
            yield Trade(time + loop * length, loop * len(rows) + number, VENUE, price, amount)


def _out_of_order(trades: Iterator[Trade]) -> Iterator[Trade]:
    late: list[tuple[int, Trade]] = []
    for number, trade in enumerate(trades):
        if number % _LATE_EVERY == 0:
            late.append((number + _LATE_BY, trade))
            continue
        yield trade
        while late and late[0][0] <= number:
            yield late.pop(0)[1]


def steering(feed: FastFeed) -> Plugin:
    """The plugin that halts the feed."""
    plugin = Plugin("steering")

    @plugin.on(Halt)
    async def halt(_ctx: Context, request: Halt) -> Halted:
        feed.halt(request.halted)
        return Halted(halted=request.halted)

    return plugin
