"""One chart: all venues' bars of one resolution, and what has been told of them. Pure.

A chart answers with what it has told, not with what was counted since: closed candles are told at
once, open ones at most ten times a second, and in between a question gets an open candle as it was
told last. So whoever takes a snapshot and then every update holds, at each moment, exactly what the
chart would answer, and is never more than a tenth of a second behind the trades.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from lbproto import iso_timestamp
from lbproto_market.bars import Bar
from lbproto_market.events import Candle, MarketChartLiveUpdate
from lbproto_market.machine import Machine

__all__ = ["TELL_EVERY", "Chart", "candle"]

TELL_EVERY = 0.1
"""Seconds between two updates of one open candle, at least."""


class _Told(NamedTuple):
    """An open candle as it was told last."""

    candle: Candle
    trades: int


class Chart:
    """One symbol in one resolution.

    Args:
        symbol: as in its events.
        machine: has the bars.
        level: which of the machine's resolutions.
    """

    def __init__(self, symbol: str, machine: Machine, level: int) -> None:
        self.symbol = symbol
        self.resolution = machine.plan[level].cut
        self._machine = machine
        self._level = level
        self._told: dict[int, _Told] = {}  # by opening
        # The last answer, for this many candles down to this floor; until something is told.
        self._newest: tuple[int, int, list[Candle]] | None = None

    def close(self, bar: Bar) -> MarketChartLiveUpdate:
        """What is to be told of a bar that has closed or was amended."""
        self._told.pop(bar.opening, None)
        self._newest = None
        return self._update(bar, candle(bar))

    def tell(self, bars: Iterable[Bar]) -> list[MarketChartLiveUpdate]:
        """What is to be told of the open bars: of those that have changed since the last time."""
        updates = []
        for bar in bars:
            told = self._told.get(bar.opening)
            if told is None or told.trades != bar.trades:
                state = candle(bar)
                self._told[bar.opening] = _Told(state, bar.trades)
                updates.append(self._update(bar, state))
        if updates:
            self._newest = None
        return updates

    def newest(self, count: int) -> list[Candle]:
        """The newest candles as they were told, oldest first, the open ones last."""
        asked = (count, self._machine.floor(self._level))
        if self._newest is None or self._newest[:2] != asked:
            candles = [candle(bar) for bar in self._machine.newest(self._level, count)]
            candles += [self._told[at].candle for at in sorted(self._told)]
            self._newest = *asked, candles[-count:]
        return self._newest[2].copy()

    def told(self, begin: int, end: int) -> list[Candle]:
        """The open ones that open in [begin, end) Unix milliseconds, as told, oldest first."""
        return [self._told[at].candle for at in sorted(self._told) if begin <= at < end]

    def _update(self, bar: Bar, state: Candle) -> MarketChartLiveUpdate:
        return MarketChartLiveUpdate(
            symbol=self.symbol,
            open=state.open,
            high=state.high,
            low=state.low,
            close=state.close,
            volume=state.volume,
            timestamp=state.timestamp,
            resolution=self.resolution.name,
            closed=bar.closed,
            trades=bar.trades,
            revision=bar.revision,
        )


def candle(bar: Bar) -> Candle:
    """A bar as the wire shows it: each number the float nearest to the exact one."""
    return Candle(
        timestamp=iso_timestamp(bar.opening),
        open=float(bar.first.price),
        high=float(bar.high),
        low=float(bar.low),
        close=float(bar.last.price),
        volume=float(bar.volume),
    )
