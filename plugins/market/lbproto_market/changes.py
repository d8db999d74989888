"""What came of trades or of time that went into a market."""

from __future__ import annotations

from typing import NamedTuple

from lbproto_market.bars import Bar
from lbproto_market.events import MarketChartLiveUpdate
from lbproto_market.trades import Trade

__all__ = ["Changes", "Settled"]


class Settled(NamedTuple):
    """One venue's candle that has closed, or was amended since; replaces what was known of it."""

    venue: str
    resolution: str
    bar: Bar


class Changes(NamedTuple):
    """What one call to a market has changed."""

    symbol: str
    trades: list[Trade]
    """Those that were new, in the order in which they came."""
    updates: list[MarketChartLiveUpdate]
    """What is to be told, in order."""
    settled: list[Settled]
    """What an archive is to keep, in order."""
    left_out: int = 0
    """Trades too late for some resolution's history; the finer ones go without them."""
    skewed: int = 0
    """Trades refused because their time is too far ahead to be true."""
