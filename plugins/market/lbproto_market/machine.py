"""The candle machine of one symbol: trades and time go in, bars come out.

Pure: no clock, no waiting, no wire. Event time moves by what arrives: by a trade, and by `advance`,
with which a feed says how far time has come when nothing is traded. It never moves back. The
watermark follows it at a fixed distance, the lateness, and closes what ends before it:

    time →        closed periods         | open periods                    |
                                     watermark ←—— lateness ——→ event time ←— at most `ahead`

    a trade ...                       what comes of it
    counted before (`duplicates`)     nothing
    ahead of everybody's time         refused, and `skewed` counts it; so is one before 1970
    after the watermark               goes into the open periods; moves time, closes what that ends
    before the watermark              amends the closed bars of each resolution that it touches
    before a resolution's floor       that resolution goes without it, and `left_out` counts it

A trade far ahead is refused and not put back to the bound. A candle is defined by event time: a
trade put back would be in a candle of a time at which it was not made, and in which one would
depend on when it arrived. It is not remembered either, so that it counts if the feed repeats it
when time has come there.

Every venue has a cascade of its own (`cascade`); what is asked of several is merged when it is
asked. A period closes for all venues at once. The floor is common to them too: the newest `history`
bars of the venue that has most are kept, and of the others what is no older. So what is held of a
time is held of all venues, or of none. It is raised for several bars at once: up to an eighth more
than `history` are held.

A late trade from before the newest `history` bars raises it first. So which trades are left out
depends on the closed bars alone, and not on when the floor was raised last, which no archive knows:
a machine that was resumed leaves out the same as one that never stopped.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from heapq import merge
from itertools import chain, groupby, takewhile
from operator import attrgetter, itemgetter

from lbproto_market.bars import Bar, merged
from lbproto_market.cascade import Cascade, levels
from lbproto_market.changes import Settled
from lbproto_market.duplicates import Counted
from lbproto_market.gaps import filled, needed
from lbproto_market.history import History
from lbproto_market.resolutions import RESOLUTIONS, Resolution
from lbproto_market.trades import Trade

__all__ = ["Machine", "Outcome"]

_opening = attrgetter("opening")

# Before anything, and the year 3000: what lies beyond is microseconds taken for milliseconds.
_ALWAYS = -1 << 63
_END_OF_TIME = 32_503_680_000_000


@dataclass(slots=True)
class Outcome:
    """What came of one call."""

    trades: list[Trade] = field(default_factory=list)
    """Those that were new, in the order in which they came."""
    candles: list[tuple[Resolution, Bar]] = field(default_factory=list)
    """All venues' bars that have closed or were amended, in order; as they were at that moment."""
    settled: list[Settled] = field(default_factory=list)
    """Single venues' bars of the same kind."""
    left_out: int = 0
    """Trades too late for some resolution, or so old that nobody knows whether they counted."""
    skewed: int = 0
    """Trades refused because they cannot have been made at their time."""


class Machine:
    """Bars of one symbol in several resolutions, of its venues together and singly.

    Args:
        venues: where it is traded.
        resolutions: how time is cut, the finest first; each must be divided by one before it.
        history: how many closed bars are kept of each resolution and venue, at least 1; 96 bytes
            each (`history`).
        lateness_ms: how long periods are held open for late trades, in milliseconds of event time.
        ahead_ms: how far ahead of time as everybody else has it a trade may be, in milliseconds.
        fill: how many periods without a trade are filled after a trade (`gaps`); 0: gaps stay.
    """

    def __init__(
        self,
        venues: Collection[str],
        resolutions: Iterable[Resolution] = RESOLUTIONS.values(),
        *,
        history: int = 1000,
        lateness_ms: int = 0,
        ahead_ms: int = 5000,
        fill: int = 0,
    ) -> None:
        self.now_ms = 0
        """How far event time has come, Unix milliseconds."""
        self.plan = levels(resolutions)
        self._history = history
        self._most = history + history // 8
        self._lateness_ms = lateness_ms
        self._ahead_ms = ahead_ms
        self._fill = fill
        self._venues = {venue: (Cascade(venue, self.plan), Counted()) for venue in venues}
        self._all = tuple(
            tuple(cascade.history[level] for cascade, _ in self._venues.values())
            for level in range(len(self.plan))
        )
        # Of each level: when its first open period starts and ends, and its oldest held may start.
        self._edges = [0] * len(self.plan)
        self._ends = [0] * len(self.plan)
        self._floors = [_ALWAYS] * len(self.plan)
        self._advanced = 0

    def add(self, trades: Iterable[Trade], wall_ms: int | None = None) -> Outcome:
        """Take trades, in any order of time and also repeatedly.

        Args:
            trades: at this symbol's venues.
            wall_ms: what time it is, Unix milliseconds; trades may be ahead of that, or of what
                `advance` said if that is later, by `ahead_ms`. None: by anything up to the year
                3000.
        """
        outcome = Outcome()
        accepted, venues = outcome.trades.append, self._venues
        horizon = _END_OF_TIME if wall_ms is None else max(wall_ms, self._advanced) + self._ahead_ms
        edge, end = self._edges[0], self._ends[0] + self._lateness_ms
        for trade in trades:
            timestamp = trade.timestamp_ms
            if not 0 <= timestamp <= horizon:
                outcome.skewed += 1
                continue
            cascade, counted = venues[trade.venue]
            if not counted.add(trade.id):
                outcome.left_out += trade.id < counted.mark
                continue
            accepted(trade)
            if timestamp >= end:
                self._move(timestamp, outcome)
                edge, end = self._edges[0], self._ends[0] + self._lateness_ms
            elif timestamp > self.now_ms:
                self.now_ms = timestamp
            if timestamp >= edge:
                cascade.add(trade)
            else:
                self._add_late(cascade, trade, outcome)
        return outcome

    def advance(self, milliseconds: int) -> Outcome:
        """Let event time pass, to a moment in Unix milliseconds; an earlier one changes nothing."""
        outcome = Outcome()
        self._advanced = max(self._advanced, milliseconds)
        if milliseconds > self.now_ms:
            self._move(milliseconds, outcome)
        return outcome

    def floor(self, level: int) -> int:
        """The earliest opening of which all is held, Unix milliseconds; before it, nothing is.

        Far below 0 as long as nothing was let go of.
        """
        return self._floors[level]

    def holds(self, level: int, moment: int, venues: Collection[str] | None = None) -> bool:
        """Whether any closed bar that is held opens at that moment or before, Unix milliseconds."""
        return bool(self._newest(self._histories(level, venues), 1, moment + 1))

    def between(
        self,
        level: int,
        begin: int,
        end: int,
        venues: Collection[str] | None = None,
        older: Iterable[Bar] = (),
    ) -> Iterator[Bar]:
        """The closed bars of a level that open in [begin, end) Unix milliseconds, oldest first.

        Read one by one: go through them before anything changes.

        Args:
            venues: merge those of these only.
            older: those from before the floor, and what is needed to fill the gap at `begin`.
        """
        histories = self._histories(level, venues)
        before = self._newest(histories, 1, begin) if self._fill else []
        bars = _together([history.between(begin, end) for history in histories])
        return self._filled(level, chain(older, before, bars), begin, end)

    def newest(
        self,
        level: int,
        count: int,
        venues: Collection[str] | None = None,
        older: Iterable[Bar] = (),
    ) -> list[Bar]:
        """The newest closed bars of a level, oldest first; see `between`."""
        edge, cut = self._edges[level], self.plan[level].cut
        bars = [*older, *self._newest(self._histories(level, venues), count, edge)][-count:]
        fewest = needed(bars, cut, edge, self._fill, count)
        return list(self._filled(level, fewest, _ALWAYS, edge))[-count:]

    def open(self, venues: Collection[str] | None = None) -> list[list[Bar]]:
        """The open bars of each level as they are now, oldest first; see `between`."""
        views = [self._venues[venue][0].open() for venue in venues or self._venues]
        return [list(_together(of_one_level)) for of_one_level in zip(*views, strict=True)]

    def resume(
        self,
        now_ms: int,
        settled: Iterable[Settled],
        seen: Mapping[str, tuple[int, Collection[int]]],
    ) -> None:
        """Go on from what an archive has kept; before anything is added.

        Args:
            now_ms: how far event time had come, Unix milliseconds.
            settled: the newest bars of each venue and resolution, oldest first: of closed ones
                `history`, or all there are, and the open ones.
            seen: by venue, which trades are in these; see `Counted.resume`.
        """
        self.now_ms = self._advanced = now_ms
        for level, (cut, _, _) in enumerate(self.plan):
            watermark = max(0, now_ms - self._lateness_ms)
            self._edges[level], self._ends[level] = cut.bounds(watermark)
        numbers = {level.cut.name: number for number, level in enumerate(self.plan)}
        for level, venue, bar in sorted(
            ((numbers[resolution], venue, bar) for venue, resolution, bar in settled),
            key=itemgetter(0),
        ):
            cascade, _ = self._venues[venue]
            if bar.opening < self._edges[level]:
                cascade.history[level].put(bar)
            else:
                cascade.resume(level, bar)
        for level in range(len(self.plan)):
            for history in self._histories(level):
                if len(history) >= self._history:
                    self._trim(level, history)
        for venue, (mark, ids) in seen.items():
            self._venues[venue][1].resume(mark, ids)

    def _move(self, milliseconds: int, outcome: Outcome) -> None:
        self.now_ms = milliseconds
        self._close(0, milliseconds - self._lateness_ms, outcome)

    def _close(self, level: int, watermark: int, outcome: Outcome) -> None:
        """Close what the watermark has passed in a level and in those made of it."""
        if watermark < self._ends[level]:
            return  # and so it is in the coarser ones: where they end, this one does
        cut, _, feeds = self.plan[level]
        begin = self._edges[level]
        edge, self._ends[level] = cut.bounds(watermark)
        self._edges[level] = edge
        closed: list[list[Bar]] = []
        for venue, (cascade, _) in self._venues.items():
            if bars := cascade.close(level, edge):
                closed.append(bars)
                for bar in bars:
                    outcome.settled.append(Settled(venue, cut.name, bar))
        if closed or self._fill:
            candles: Iterable[Bar] = _together(closed)
            if self._fill:
                before = self._newest(self._histories(level), 1, begin)
                candles = self._filled(level, chain(before, candles), begin, edge)
            for bar in candles:
                outcome.candles.append((cut, bar))
            for history in self._all[level]:
                if len(history) > self._most:
                    self._trim(level, history)
        for coarser in feeds:
            self._close(coarser, watermark, outcome)

    def _trim(self, level: int, fullest: History) -> None:
        """Raise a level's floor, so that this history has as many bars as are kept."""
        floor = fullest.since(self._history)
        if floor > self._floors[level]:
            self._floors[level] = floor
            for history in self._histories(level):
                history.drop_before(floor)

    def _add_late(self, cascade: Cascade, trade: Trade, outcome: Outcome) -> None:
        """Count a trade whose period is closed in the finest level, and so maybe in others."""
        reached = True
        levels_ = [0]
        for level in levels_:
            if trade.timestamp_ms >= self._edges[level]:
                cascade.add_late(trade, level)
                continue
            levels_.extend(self.plan[level].feeds)
            reached &= self._amend(level, cascade, trade, outcome)
        outcome.left_out += not reached

    def _amend(self, level: int, cascade: Cascade, trade: Trade, outcome: Outcome) -> bool:
        """Amend a closed bar; whether the history reaches back to it."""
        cut = self.plan[level].cut
        opening = cut.start(trade.timestamp_ms)
        own, kept = cascade.history[level], self._history
        for history in self._all[level]:
            if len(history) >= kept and opening < history.since(kept):
                self._trim(level, history)
        if opening < self._floors[level]:
            return False
        before = next(self.between(level, opening, opening + 1), None) if self._fill else None
        revision = before.revision + 1 if before is not None and not before.trades else 1
        bar = cascade.amend(trade, level, opening, revision)
        outcome.settled.append(Settled(trade.venue, cut.name, bar))
        if len(own) > self._most:
            self._trim(level, own)
        if len(self._venues) > 1:
            found = [history.find(opening) for history in self._histories(level)]
            bar = reduce(merged, [one for one in found if one is not None])
        outcome.candles.append((cut, bar))
        if self._fill and (
            before is None or not before.trades or before.last.price != bar.last.price
        ):
            after = self.between(level, opening + 1, self._edges[level])
            fills = takewhile(lambda one: not one.trades, after)
            outcome.candles.extend((cut, one) for one in fills)
        return True

    def _histories(self, level: int, venues: Collection[str] | None = None) -> Sequence[History]:
        if venues is None:
            return self._all[level]
        return [self._venues[venue][0].history[level] for venue in venues]

    def _newest(self, histories: Iterable[History], count: int, end: int) -> list[Bar]:
        return list(_together([history.newest(count, end) for history in histories]))[-count:]

    def _filled(self, level: int, bars: Iterable[Bar], begin: int, end: int) -> Iterator[Bar]:
        cut = self.plan[level].cut
        return filled(bars, cut, begin, min(end, self._edges[level]), self._fill)


def _together(bars: Sequence[Iterable[Bar]]) -> Iterator[Bar]:
    """Several venues' bars, each oldest first, as one of each period."""
    if len(bars) == 1:
        return iter(bars[0])
    in_order = groupby(merge(*bars, key=_opening), key=_opening)
    return (reduce(merged, of_one_period) for _, of_one_period in in_order)
