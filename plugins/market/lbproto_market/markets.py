"""A market: one symbol's charts, what is asked of them, and when their changes are told. Pure.

A request's window may reach further back than memory does. What is older than the floor of its
resolution (`Machine.floor`) is in an archive, if there is one. Asking that takes a while, in which
the floor may rise, so whoever answers does it in turns:

    query, older = market.query(request), None                       # or a refusal
    while (missing := market.missing(query, older)) is not None:
        older = Older(missing, await archive.read(symbol, query.venues, query.cut, *missing))
    candles = market.answer(query, older)

The archive's part ends where memory's begins at the moment of the answer: no gap, no overlap.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from lbproto import LimitExceeded, NotFound
from lbproto_market.bars import Bar
from lbproto_market.changes import Changes, Settled
from lbproto_market.charts import TELL_EVERY, Chart, candle
from lbproto_market.events import Candle, MarketChartLiveUpdate, RequestMarketData
from lbproto_market.machine import Machine, Outcome
from lbproto_market.resolutions import Resolution, parse_resolution
from lbproto_market.trades import Trade
from lbproto_market.windows import MAX_CANDLES, parse_window

__all__ = ["DEFAULT_CANDLES", "Market", "Missing", "Older", "Query", "not_there"]

DEFAULT_CANDLES = 100
"""How many candles a snapshot holds, and an answer to a request without a window."""

_NAMED_IN_A_REFUSAL = 20


class Query(NamedTuple):
    """A request that can be answered."""

    cut: Resolution
    venues: frozenset[str]
    begin_ms: int
    """The first moment at which a candle may open, Unix milliseconds."""
    end_ms: int
    """The moment after the last."""
    newest: int | None
    """Only so many, the newest; None: all there are, and a refusal if that is too many."""


class Missing(NamedTuple):
    """What an archive is to be asked for: the newest candles that open in [begin, end)."""

    begin_ms: int
    end_ms: int
    limit: int


class Older(NamedTuple):
    """What an archive has answered, oldest first."""

    missing: Missing
    bars: Sequence[Bar]


class Market:
    """One symbol at its venues.

    Args:
        symbol: its name.
        venues: where it is traded.
        history: how many closed candles are kept of each resolution and venue, at least 1.
        lateness: how long candles are held open for late trades, in seconds of event time.
        ahead: how far ahead of the time a trade may be, in seconds; one further ahead is refused.
        fill: how many periods without a trade get a candle after a trade; 0: none does.
    """

    def __init__(
        self,
        symbol: str,
        venues: Collection[str],
        history: int = 1000,
        *,
        lateness: float = 0.0,
        ahead: float = 5.0,
        fill: int = 0,
    ) -> None:
        self.symbol = symbol
        self._machine = Machine(
            venues,
            history=history,
            lateness_ms=int(lateness * 1000),
            ahead_ms=int(ahead * 1000),
            fill=fill,
        )
        self._venues = frozenset(venues)
        self._fill = fill
        self._levels = {level.cut.name: number for number, level in enumerate(self._machine.plan)}
        self.charts = {
            name: Chart(symbol, self._machine, number) for name, number in self._levels.items()
        }
        # Whether trades were counted since the open candles were told, and when that was.
        self._untold = False
        self._told_at = float("-inf")

    @property
    def venues(self) -> Collection[str]:
        """Where it is traded."""
        return self._venues

    @property
    def now_ms(self) -> int:
        """How far event time has come, Unix milliseconds."""
        return self._machine.now_ms

    def resume(
        self,
        now_ms: int,
        settled: Sequence[Settled],
        seen: Mapping[str, tuple[int, Collection[int]]],
    ) -> None:
        """Go on from where an earlier life left off; before anything else. See `Machine.resume`."""
        self._machine.resume(now_ms, settled, seen)
        self._untold = True  # what is open

    def open(self) -> list[Settled]:
        """Each venue's open candles as they are now: what an archive needs for `resume`."""
        return [
            Settled(venue, cut.name, bar)
            for venue in sorted(self._venues)
            for (cut, _, _), bars in zip(
                self._machine.plan, self._machine.open((venue,)), strict=True
            )
            for bar in bars
        ]

    def add(self, trades: Sequence[Trade], now: float, wall_ms: int | None = None) -> Changes:
        """Count trades in, in any order of time; those that were counted before change nothing.

        Args:
            trades: of this symbol, at its venues.
            now: monotonic seconds; paces what is told.
            wall_ms: Unix milliseconds; a trade far ahead of it is refused. None: none is.
        """
        return self._changes(self._machine.add(trades, wall_ms), now)

    def advance(self, milliseconds: int, now: float) -> Changes:
        """Let event time pass, to a moment in Unix milliseconds; `now` as for `add`."""
        return self._changes(self._machine.advance(milliseconds), now)

    @property
    def due(self) -> float | None:
        """When the open candles are to be told, in monotonic seconds; None if nothing is untold."""
        return self._told_at + TELL_EVERY if self._untold else None

    def flush(self, now: float) -> list[MarketChartLiveUpdate]:
        """The updates of open candles that are due at `now` (monotonic seconds)."""
        if not self._untold or now < self._told_at + TELL_EVERY:
            return []
        self._untold = False
        charts = self.charts.values()
        updates: list[MarketChartLiveUpdate] = []
        for chart, bars in zip(charts, self._machine.open(), strict=True):
            updates += chart.tell(bars)
        if updates:
            self._told_at = now
        return updates

    def query(self, request: RequestMarketData) -> Query:
        """What a request asks for; see `RequestMarketData`.

        Raises:
            NotFound: a resolution or a venue that does not exist.
            InvalidRequest: the window is malformed.
            LimitExceeded: the window is too wide.
        """
        cut = parse_resolution(request.resolution)
        venues = frozenset(request.venues or self._venues)
        for venue in sorted(venues - self._venues):
            raise not_there("venue", venue, self._venues)
        if request.window is None:
            begin = cut.opening(cut.period(0))  # a week that is cut by 1970 too
            return Query(cut, venues, begin, self.now_ms + 1, DEFAULT_CANDLES)
        begin, end = parse_window(request.window, cut, self.now_ms)
        return Query(cut, venues, begin, end, None)

    def missing(self, query: Query, older: Older | None = None) -> Missing | None:
        """What is to be read from an archive before the query can be answered, if anything.

        Args:
            older: what was read so far; to be read anew if memory reaches less far back by now.
        """
        cut, venues, begin, end, newest = query
        level = self._levels[cut.name]
        floor = self._machine.floor(level)
        if self._fill and not self._machine.holds(level, begin, venues):
            # A gap at the window's begin is filled with what the bar before it says.
            begin = cut.opening(max(cut.period(begin) - self._fill, cut.period(0)))
        end = min(end, floor)
        if begin >= end or (older is not None and older.missing.end_ms >= end):
            return None
        if newest is not None and len(self._machine.newest(level, newest, venues)) >= newest:
            return None
        return Missing(begin, end, newest or MAX_CANDLES + 1)

    def answer(self, query: Query, older: Older | None = None) -> list[Candle]:
        """The candles of a query, oldest first; those of all venues are as they were told last.

        Args:
            older: what was read from an archive, once nothing is `missing` any more.

        Raises:
            LimitExceeded: the window holds more than `MAX_CANDLES` candles.
        """
        cut, venues, begin, end, newest = query
        chart, level = self.charts[cut.name], self._levels[cut.name]
        before = () if older is None else older.bars
        if newest is not None and venues == self._venues and not before:
            return chart.newest(newest)
        if newest is not None:
            bars = self._machine.newest(level, newest, venues, before)
        else:
            most = MAX_CANDLES + 1
            bars = list(islice(self._machine.between(level, begin, end, venues, before), most))
        candles = list(map(candle, bars))
        if venues == self._venues:
            candles += chart.told(begin, end)
        else:  # nobody is told of these, so they are as counted
            open_ = self._machine.open(venues)[level]
            candles += [candle(bar) for bar in open_ if begin <= bar.opening < end]
        if newest is not None:
            return candles[-newest:]
        if len(candles) > MAX_CANDLES:
            raise LimitExceeded(
                f"the window holds more than {MAX_CANDLES:,} candles of {cut.name}, which is the "
                "most that is sent: narrow it, or take a coarser resolution - at `$.window`"
            )
        return candles

    def _changes(self, outcome: Outcome, now: float) -> Changes:
        updates = [self.charts[cut.name].close(bar) for cut, bar in outcome.candles]
        if outcome.trades:
            self._untold = True
        updates += self.flush(now)
        return Changes(
            self.symbol,
            outcome.trades,
            updates,
            outcome.settled,
            left_out=outcome.left_out,
            skewed=outcome.skewed,
        )


def not_there(kind: str, name: str, known: Collection[str]) -> NotFound:
    """A refusal that names some of what there is."""
    named = ", ".join(sorted(known)[:_NAMED_IN_A_REFUSAL])
    more = len(known) - _NAMED_IN_A_REFUSAL
    tail = f" and {more} more" if more > 0 else ""
    return NotFound(f"no {kind} {name!r}; there are: {named}{tail}")
