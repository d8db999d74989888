"""All charts of a feed: every symbol in every resolution, its venues together and singly."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from lbproto import LimitExceeded, NotFound
from lbproto_market.bars import Bar, merged
from lbproto_market.changes import Changes
from lbproto_market.charts import Chart, candle
from lbproto_market.events import Candle, MarketChartLiveUpdate, RequestMarketData
from lbproto_market.resolutions import RESOLUTIONS, Resolution, parse_resolution
from lbproto_market.series import Series
from lbproto_market.trades import Trade
from lbproto_market.windows import MAX_CANDLES, parse_window

__all__ = ["DEFAULT_CANDLES", "Market", "Markets"]

DEFAULT_CANDLES = 100
"""How many candles a snapshot holds, and an answer to a request without a window."""

# How far ahead of time as everybody else has it a venue's clock may be.
_AHEAD_MS = 5000

_NAMED_IN_A_REFUSAL = 20


class Market:
    """One symbol: its charts, and beneath them the series of each venue.

    Args:
        symbol: its name.
        venues: where it is traded.
        history: how many closed candles are kept of each chart.
    """

    def __init__(self, symbol: str, venues: Collection[str], history: int) -> None:
        self.symbol = symbol
        self.charts = {name: Chart(symbol, cut, history) for name, cut in RESOLUTIONS.items()}
        self.now_ms = 0
        """How far event time has come, Unix milliseconds."""
        self._venues: dict[str, dict[str, Series]] = {venue: {} for venue in venues}
        if len(venues) > 1:  # the charts are already those of a single one
            for series in self._venues.values():
                series.update((name, Series(cut, history)) for name, cut in RESOLUTIONS.items())

    def add(self, trades: Sequence[Trade], now: float, wall_ms: int | None = None) -> Changes:
        """Count trades in, in any order of time; those that were counted before change nothing.

        Args:
            trades: of this symbol, at its venues.
            now: monotonic seconds; paces what is told.
            wall_ms: Unix milliseconds; a trade far ahead of it is refused. None: none is.
        """
        skewed = 0
        if wall_ms is not None:
            horizon = max(wall_ms, self.now_ms) + _AHEAD_MS
            skewed = len(trades)
            trades = [trade for trade in trades if trade.timestamp_ms <= horizon]
            skewed -= len(trades)
        self.now_ms = max(self.now_ms, max((trade.timestamp_ms for trade in trades), default=0))
        for trade in trades:
            for series in self._venues[trade.venue].values():
                series.add(trade)
        updates = [update for chart in self.charts.values() for update in chart.add(trades, now)]
        return Changes(self.symbol, list(trades), updates, [], skewed=skewed)

    def advance(self, milliseconds: int, now: float) -> Changes:
        """Let event time pass, to a moment in Unix milliseconds."""
        self.now_ms = max(self.now_ms, milliseconds)
        for by_resolution in self._venues.values():
            for series in by_resolution.values():
                series.advance(milliseconds)
        charts = self.charts.values()
        updates = [update for chart in charts for update in chart.advance(milliseconds, now)]
        return Changes(self.symbol, [], updates, [])

    def candles(self, request: RequestMarketData) -> list[Candle]:
        """What a request asks for, oldest first; see `RequestMarketData`.

        Raises:
            NotFound: a resolution or a venue that does not exist.
            InvalidRequest: the window is malformed.
            LimitExceeded: the window is too wide, or holds more than `MAX_CANDLES` candles.
        """
        cut = parse_resolution(request.resolution)
        venues = set(request.venues or self._venues)
        for venue in sorted(venues - set(self._venues)):
            raise _unknown("venue", venue, self._venues)
        chart = self.charts[cut.name] if venues == set(self._venues) else None
        if request.window is None:
            if chart is not None:
                return chart.newest(DEFAULT_CANDLES)
            return self._consolidated(cut, venues, 0, self.now_ms + 1)[-DEFAULT_CANDLES:]
        begin, end = parse_window(request.window, cut, self.now_ms)
        if chart is not None:
            candles = chart.between(begin, end)
        else:
            candles = self._consolidated(cut, venues, begin, end)
        if len(candles) > MAX_CANDLES:
            raise LimitExceeded(
                f"the window holds {len(candles):,} candles of {cut.name}, at most "
                f"{MAX_CANDLES:,} are sent: narrow it, or take a coarser resolution - at `$.window`"
            )
        return candles

    def _consolidated(
        self, cut: Resolution, venues: Collection[str], begin: int, end: int
    ) -> list[Candle]:
        """Some venues' bars put together. Nobody is told of these, so they are as counted."""
        bars: dict[int, Bar] = {}
        for venue in venues:
            for bar in self._venues[venue][cut.name].bars(begin, end):
                known = bars.get(bar.opening)
                bars[bar.opening] = bar.bar() if known is None else merged(known, bar.bar())
        return [candle(bars[opening]) for opening in sorted(bars)]


class Markets:
    """Every symbol of a feed, and which of their charts have something untold.

    Args:
        symbols: their names.
        venues: where they are traded.
        history: how many closed candles are kept of each chart.

    Raises:
        ValueError: a symbol that cannot be part of a room's name, or a history of nothing.
    """

    def __init__(self, symbols: Collection[str], venues: Collection[str], history: int) -> None:
        if odd := [symbol for symbol in symbols if not symbol or ":" in symbol]:
            raise ValueError(f"a colon parts the names of rooms, so no symbol has one: {odd}")
        if history < 1:
            raise ValueError(f"a history holds at least 1 candle, not {history}")
        self._markets = {symbol: Market(symbol, venues, history) for symbol in symbols}

    def __getitem__(self, symbol: str) -> Market:
        try:
            return self._markets[symbol]
        except KeyError:
            raise _unknown("symbol", symbol, self._markets) from None

    def advance(self, milliseconds: int, now: float) -> list[Changes]:
        """Let event time pass for all; see `Market.advance`."""
        return [market.advance(milliseconds, now) for market in self._markets.values()]

    @property
    def due(self) -> float | None:
        """When the next open candle is to be told, in monotonic seconds; None if nothing is."""
        dues = (chart.due for chart in self._charts())
        return min((due for due in dues if due is not None), default=None)

    def flush(self, now: float) -> list[MarketChartLiveUpdate]:
        """The updates of open candles that are due at `now` (monotonic seconds)."""
        return [update for chart in self._charts() if (update := chart.flush(now)) is not None]

    def _charts(self) -> Iterable[Chart]:
        return (chart for market in self._markets.values() for chart in market.charts.values())


def _unknown(kind: str, name: str, known: Collection[str]) -> NotFound:
    named = ", ".join(sorted(known)[:_NAMED_IN_A_REFUSAL])
    more = len(known) - _NAMED_IN_A_REFUSAL
    tail = f" and {more} more" if more > 0 else ""
    return NotFound(f"no {kind} {name!r}; there are: {named}{tail}")
