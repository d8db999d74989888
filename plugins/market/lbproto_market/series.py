"""The candle machine: trades go in, bars come out. Pure: no clock, no waiting, no wire.

Event time moves by what arrives: by a trade, and by `advance`, with which a feed says how far time
has come when nothing is traded. It never moves back. The period that holds the furthest moment so
far is the current one:

    an arrival ...            the current period's bar         what comes out
    trade, current period     is opened, or takes it           the open bar
    trade, later period       is closed; a new one opens       the closed bar, the open bar
    trade, earlier period     stays as it is                   the earlier bar, one revision on
    advance, current period   stays as it is                   nothing
    advance, later period     is closed                        the closed bar

A period without trades has no bar: gaps are not filled. A late trade for such a period makes its
bar, closed from the start and of revision 1. Only a trade older than everything that the bounded
history still holds is left out, and that is counted.
"""

from __future__ import annotations

from bisect import bisect_left
from operator import attrgetter

from lbproto_market.resolutions import Resolution
from lbproto_market.tallies import Tally
from lbproto_market.trades import Trade

__all__ = ["Series"]

_opening = attrgetter("opening")


class Series:
    """The bars of one resolution: the last closed ones, oldest first, and the open one.

    Args:
        resolution: how time is cut.
        history: how many closed bars are kept, at least 1; the oldest go first.
    """

    __slots__ = ("_begin", "_end", "_history", "closed", "left_out", "open", "resolution")

    def __init__(self, resolution: Resolution, history: int) -> None:
        self.resolution = resolution
        self.closed: list[Tally] = []
        self.open: Tally | None = None
        self.left_out = 0
        """Trades too late for the history."""
        self._history = history
        # The current period, [begin, end). Before anything arrived, everything is later than it.
        self._begin = self._end = 0

    def add(self, trade: Trade) -> tuple[Tally, ...]:
        """Take a trade, in any order of time, but each trade once.

        Returns:
            The bars that changed, in the order in which they must be told: a closed one first. They
            are the series' own and change on; read them before the next call.
        """
        timestamp = trade.timestamp_ms
        if timestamp < self._begin:
            return self._amend(trade)
        changed = self.advance(timestamp)
        if self.open is None:
            self.open = Tally.of(self._begin, trade)
        else:
            self.open.add(trade)
        return (*changed, self.open)

    def advance(self, milliseconds: int) -> tuple[Tally, ...]:
        """Let event time pass, to a moment in Unix milliseconds; an earlier one changes nothing.

        Returns:
            The bar that this closed, if it did.
        """
        if milliseconds < self._end:
            return ()
        period = self.resolution.period(milliseconds)
        self._begin = self.resolution.opening(period)
        self._end = self.resolution.opening(period + 1)
        bar, self.open = self.open, None
        if bar is None:
            return ()
        bar.closed = True
        self.closed.append(bar)
        self._forget()
        return (bar,)

    def bars(self, begin: int, end: int) -> list[Tally]:
        """The bars whose period starts in [begin, end), oldest first, the open one included."""
        first = bisect_left(self.closed, begin, key=_opening)
        last = bisect_left(self.closed, end, key=_opening)
        bars = self.closed[first:last]
        if self.open is not None and begin <= self.open.opening < end:
            bars.append(self.open)
        return bars

    def _amend(self, trade: Trade) -> tuple[Tally, ...]:
        opening = self.resolution.opening(self.resolution.period(trade.timestamp_ms))
        place = bisect_left(self.closed, opening, key=_opening)
        if place < len(self.closed) and self.closed[place].opening == opening:
            bar = self.closed[place]
            bar.add(trade)
        elif place == 0 and len(self.closed) >= self._history:
            self.left_out += 1
            return ()
        else:
            bar = Tally.of(opening, trade)
            bar.closed = True
            self.closed.insert(place, bar)
            self._forget()
        bar.revision += 1
        return (bar,)

    def _forget(self) -> None:
        if len(self.closed) > self._history:
            del self.closed[0]
