"""One chart: a series, and what has been told of it. Pure: time comes in, updates come out.

A chart answers with what it has told, not with what it has counted since: closed candles are told
at once, an open one at most ten times a second, and in between a question gets the open candle as
it was told last. So whoever takes a snapshot and then every update holds, at each moment, exactly
what the chart would answer, and is never more than a tenth of a second behind the trades.
"""

from __future__ import annotations

from collections.abc import Iterable

from lbproto import iso_timestamp
from lbproto_market.bars import Bar
from lbproto_market.events import Candle, MarketChartLiveUpdate
from lbproto_market.resolutions import Resolution
from lbproto_market.series import Series
from lbproto_market.tallies import Tally
from lbproto_market.trades import Trade

__all__ = ["TELL_EVERY", "Chart", "candle"]

TELL_EVERY = 0.1
"""Seconds between two updates of one chart's open candle, at least."""


class Chart:
    """One symbol in one resolution.

    Args:
        symbol: as in its events.
        resolution: how time is cut.
        history: how many closed candles are kept.
    """

    def __init__(self, symbol: str, resolution: Resolution, history: int) -> None:
        self.symbol = symbol
        self.resolution = resolution
        self.series = Series(resolution, history)
        # The open candle as it was told last, of how many trades it was then, and when that was.
        self._told: Candle | None = None
        self._told_trades = 0
        self._told_at = float("-inf")

    def add(self, trades: Iterable[Trade], now: float) -> list[MarketChartLiveUpdate]:
        """Count trades in, at `now` in monotonic seconds; returns what is to be told, in order."""
        # Lazy on purpose: each bar is read before the next trade changes it.
        return self._tell((bar for trade in trades for bar in self.series.add(trade)), now)

    def advance(self, milliseconds: int, now: float) -> list[MarketChartLiveUpdate]:
        """Let event time pass, to a moment in Unix milliseconds; returns what is to be told."""
        return self._tell(self.series.advance(milliseconds), now)

    @property
    def due(self) -> float | None:
        """When the open candle is to be told, in monotonic seconds; None if nothing is untold."""
        bar = self.series.open
        if bar is None or (self._told is not None and self._told_trades == bar.trades):
            return None
        return self._told_at + TELL_EVERY

    def flush(self, now: float) -> MarketChartLiveUpdate | None:
        """The open candle's update, if one is due at `now` (monotonic seconds)."""
        due, bar = self.due, self.series.open
        if due is None or due > now or bar is None:
            return None
        self._told, self._told_trades, self._told_at = candle(bar), bar.trades, now
        return self._update(bar)

    def newest(self, count: int) -> list[Candle]:
        """The newest candles as they were told, oldest first, the open one last."""
        candles = [candle(bar) for bar in self.series.closed[-count:]]
        if self._told is not None:
            candles.append(self._told)
        return candles[-count:]

    def between(self, begin: int, end: int) -> list[Candle]:
        """Those that open in [begin, end) Unix milliseconds, as they were told, oldest first."""
        bars = self.series.bars(begin, end)
        candles = [candle(bar) for bar in bars if bar.closed]
        if self._told is not None and bars and not bars[-1].closed:
            candles.append(self._told)
        return candles

    def _tell(self, changed: Iterable[Tally], now: float) -> list[MarketChartLiveUpdate]:
        updates = []
        for bar in changed:
            if not bar.closed:
                continue
            if bar.revision == 0:  # the open one until now; an amended one never is
                self._told = None
            updates.append(self._update(bar))
        if (update := self.flush(now)) is not None:
            updates.append(update)
        return updates

    def _update(self, bar: Tally) -> MarketChartLiveUpdate:
        state = candle(bar)
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


def candle(bar: Bar | Tally) -> Candle:
    """A bar as the wire shows it: each number the float nearest to the exact one."""
    return Candle(
        timestamp=iso_timestamp(bar.opening),
        open=float(bar.first.price),
        high=float(bar.high),
        low=float(bar.low),
        close=float(bar.last.price),
        volume=float(bar.volume),
    )
