"""The recorded trades that come with this package, as a feed and as a plugin."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from lbproto import Plugin
from lbproto_market.plugin import market
from lbproto_market.replay import ReplayFeed

__all__ = ["bundled_feed", "recorded", "replayed"]

_TRADES = Path(__file__).parent / "data" / "eth-usdt-2023-02-02.csv.gz"


def bundled_feed() -> ReplayFeed:
    """1,000 trades of ETH-USDT, of three and a half minutes, looped and moved to now."""
    return ReplayFeed(_TRADES, "ETH-USDT", venue="binance", loop=True, backfill=10)


def replayed(path: Path, symbol: str, speed: Literal["real", "max"] | float) -> Plugin:
    """Charts of a recorded file, at its recorded times; see `ReplayFeed`.

    Raises:
        ValueError: there is no such speed, or the symbol has a colon.
    """
    return market(ReplayFeed(path, symbol, speed=speed))


def recorded() -> Plugin:
    """Charts of `bundled_feed`: `ETH-USDT`, as if it were traded now."""
    return market(bundled_feed())
