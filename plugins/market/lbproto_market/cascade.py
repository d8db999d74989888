"""The cascade: one venue's trades, counted once, in the bars of every resolution.

A trade goes into the finest resolution only. When a period closes, its bar goes into the history
and into what the periods of the next coarser resolutions have come to, which are made of whole
ones: 1s into 5s, 5s into 15s, and so on to 1d, which goes into both 1w and 1M. So a trade costs one
tally, and a bar a little more than one step up, as the next step is taken five or sixty times less
often.

What an open period of a coarser resolution has come to is thus spread over the levels: its closed
parts are in its own tally, its open part is the open period of the level below. It is put together
when somebody looks.

    a trade's period ...            goes into
    open in the finest              the tally of the finest; nothing else
    closed in some, open in those   the bars of history of those that are closed, each one revision
    above                           on, and the tally of the finest one that is open

Which periods are closed is the same for all venues of a symbol, and is told to the cascade.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lbproto_market.bars import Bar
from lbproto_market.history import History
from lbproto_market.resolutions import Resolution
from lbproto_market.tallies import Tally
from lbproto_market.trades import Trade

__all__ = ["Cascade", "Level", "levels"]


class Level(NamedTuple):
    """One resolution's place in a cascade."""

    cut: Resolution
    source: int | None
    """The level whose bars this one's are made of; None for the finest, which is of trades."""
    feeds: tuple[int, ...]
    """The levels whose bars are made of this one's."""


def levels(cuts: Iterable[Resolution]) -> tuple[Level, ...]:
    """How resolutions, the finest first, build on each other.

    Each is made of the coarsest that it consists of whole periods of.

    Raises:
        ValueError: there is none, or one that cannot be made of any finer one.
    """
    known = tuple(cuts)
    sources: list[int | None] = [None]
    for index, cut in enumerate(known[1:], start=1):
        fitting = [finer for finer in range(index) if cut.holds(known[finer])]
        if not fitting:
            raise ValueError(f"no resolution before {cut.name} divides it: it cannot be cascaded")
        sources.append(fitting[-1])
    if not known:
        raise ValueError("a cascade has at least one resolution")
    return tuple(
        Level(cut, source, tuple(k for k, fed_by in enumerate(sources) if fed_by == index))
        for index, (cut, source) in enumerate(zip(known, sources, strict=True))
    )


class Cascade:
    """One symbol at one venue.

    Args:
        venue: its name.
        plan: see `levels`.
    """

    __slots__ = ("_begin", "_current", "_end", "_open", "_plan", "history")

    def __init__(self, venue: str, plan: Sequence[Level]) -> None:
        self.history = tuple(History(venue) for _ in plan)
        """The closed bars of each level."""
        self._plan = plan
        # By level and opening: what trades (in the finest) or closed parts (in the others), and
        # late trades for such, have come to.
        self._open: tuple[dict[int, Tally], ...] = tuple({} for _ in plan)
        # The finest level's tally that the last trade went into, of the period [begin, end).
        self._current: Tally | None = None
        self._begin = self._end = 0

    def add(self, trade: Trade) -> None:
        """Count a trade whose period is open in all levels."""
        if self._begin <= trade.timestamp_ms < self._end and self._current is not None:
            self._current.add(trade)
            return
        self._begin, self._end = self._plan[0].cut.bounds(trade.timestamp_ms)
        tally = self._open[0].get(self._begin)
        if tally is None:
            tally = self._open[0][self._begin] = Tally.of(self._begin, trade)
        else:
            tally.add(trade)
        self._current = tally

    def add_late(self, trade: Trade, level: int) -> None:
        """Count a trade whose period is open in this level, but closed in the one below."""
        opening = self._plan[level].cut.start(trade.timestamp_ms)
        tally = self._open[level].get(opening)
        if tally is None:
            self._open[level][opening] = Tally.of(opening, trade)
        else:
            tally.add(trade)

    def amend(self, trade: Trade, level: int, opening: int, revision: int) -> Bar:
        """Count a trade whose period is closed in this level.

        Args:
            trade: what came late.
            level: in which.
            opening: when its period starts, Unix milliseconds.
            revision: of the bar if it has none yet.

        Returns:
            The period's bar, amended.
        """
        history = self.history[level]
        bar = history.find(opening)
        if bar is None:
            tally = Tally.of(opening, trade)
        else:
            tally = Tally.within(opening, bar)
            tally.add(trade)
            revision = bar.revision + 1
        bar = tally.bar(closed=True, revision=revision)
        history.put(bar)
        return bar

    def close(self, level: int, edge: int) -> list[Bar]:
        """Close the periods that open before the edge, in Unix milliseconds; level after level.

        Returns:
            Their bars, oldest first. They are in the history now.
        """
        open_, plan, bars = self._open[level], self._plan, []
        for opening in sorted(open_):
            if opening >= edge:
                break
            bar = open_.pop(opening).bar(closed=True)
            bars.append(bar)
            self.history[level].put(bar)
            for coarser in plan[level].feeds:
                _put_into(self._open[coarser], plan[coarser].cut.start(opening), bar)
        if level == 0 and self._begin < edge:
            self._current = None
        return bars

    def open(self) -> list[list[Bar]]:
        """The open bars of each level as they are now, oldest first."""
        return [
            [view[opening].bar(closed=False) for opening in sorted(view)] for view in self._views()
        ]

    def _views(self) -> list[dict[int, Tally]]:
        views: list[dict[int, Tally]] = []
        for (cut, source, _), tallies in zip(self._plan, self._open, strict=True):
            view = {opening: Tally.within(opening, tally) for opening, tally in tallies.items()}
            if source is not None:
                for part in views[source].values():
                    _put_into(view, cut.start(part.opening), part)
            views.append(view)
        return views

    def resume(self, level: int, bar: Bar) -> None:
        """Take an open bar as it was in an earlier life; first those of finer levels.

        It is all of its period, and part of it is in the open bars of the levels below: that will
        come up when they close, so it is taken off the sums. What is the first, the last, the
        highest or the lowest may come up twice.
        """
        tally = Tally.within(bar.opening, bar)
        source = self._plan[level].source
        if source is not None:
            cut = self._plan[level].cut
            for part in self._views()[source].values():
                if cut.start(part.opening) == bar.opening:
                    tally.take_off(part)
        if tally.trades:
            self._open[level][bar.opening] = tally


def _put_into(tallies: dict[int, Tally], opening: int, part: Tally | Bar) -> None:
    tally = tallies.get(opening)
    if tally is None:
        tallies[opening] = Tally.within(opening, part)
    else:
        tally.absorb(part)
