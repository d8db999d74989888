"""Candles: what the market plugin does with a trade.

The floor keeps four prices and a volume, as floats.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import count

from benchmarks.micro.operation import Operation, Prepared
from lbproto_market.resolutions import RESOLUTIONS
from lbproto_market.series import Series
from lbproto_market.trades import Trade

__all__ = ["OPERATIONS"]

NAME = "count a trade into a candle"
_STEP_MS = 20  # between trades: 3,000 a candle
_PRICES = tuple(Decimal(f"670{cents:02}.50") for cents in range(100))
_AMOUNT = Decimal("0.015")


def _series() -> Prepared:
    series = Series(RESOLUTIONS["1m"], history=100)
    numbers = count(1)

    def run(times: int) -> None:
        for _ in range(times):
            number = next(numbers)
            price = _PRICES[number * 37 % 100]
            series.add(Trade(number * _STEP_MS, number, "demo", price, _AMOUNT))

    return run


def _floor() -> Prepared:
    numbers = count(1)
    prices = tuple(map(float, _PRICES))
    candle = {"open": prices[0], "high": 0.0, "low": 1e9, "close": 0.0, "volume": 0.0}

    def run(times: int) -> None:
        for _ in range(times):
            price = prices[next(numbers) * 37 % 100]
            candle["high"] = max(candle["high"], price)
            candle["low"] = min(candle["low"], price)
            candle["close"] = price
            candle["volume"] += 0.015

    return run


OPERATIONS = (
    Operation(NAME, "floor", _floor, count=10_000),
    Operation(NAME, "lbproto", _series, count=10_000),
)
"""Both ways."""
