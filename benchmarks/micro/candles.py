"""Candles: what the market plugin does with a trade.

One trade at a time, as a live feed brings them, through the machine that the plugin's charts stand
on: its repetition is looked for, event time moves, and candles close. In five resolutions it is run
beside the same machine five times, once for each: those of 1m to 4h at 5 trades a second, and those
of 1s, 1m, 5m, 1h and 1d at 50, and at 5, where every fifth trade closes a candle. The floor keeps
four prices and a volume, as floats, of each resolution.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from itertools import count

from benchmarks.micro.operation import Operation, Prepared
from lbproto_market.machine import Machine
from lbproto_market.resolutions import RESOLUTIONS
from lbproto_market.trades import Trade

__all__ = ["OPERATIONS"]

ONE = "count a trade into a candle"
COARSE = "count a trade into candles of 5 resolutions, 1m to 4h"
FIVE = "count a trade into candles of 5 resolutions"
SPARSE = f"{FIVE}, 5 a second"
_COARSE = ("1m", "5m", "15m", "1h", "4h")
_FIVE = ("1s", "1m", "5m", "1h", "1d")
_PRICES = tuple(Decimal(f"670{cents:02}.50") for cents in range(100))
_AMOUNT = Decimal("0.015")


def _machines(groups: Sequence[Sequence[str]], step_ms: int) -> Prepared:
    """One machine for each group of resolutions; a trade goes into all."""
    adds: list[Callable[[tuple[Trade]], object]] = [
        Machine(("demo",), [RESOLUTIONS[name] for name in group], history=100).add
        for group in groups
    ]
    numbers = count(1)

    def run(times: int) -> None:
        for _ in range(times):
            number = next(numbers)
            price = _PRICES[number * 37 % 100]
            trade = (Trade(number * step_ms, number, "demo", price, _AMOUNT),)
            for add in adds:
                add(trade)

    return run


def _floor(resolutions: int) -> Prepared:
    numbers = count(1)
    prices = tuple(map(float, _PRICES))
    candles = [
        {"open": prices[0], "high": 0.0, "low": 1e9, "close": 0.0, "volume": 0.0}
        for _ in range(resolutions)
    ]

    def run(times: int) -> None:
        for _ in range(times):
            price = prices[next(numbers) * 37 % 100]
            for candle in candles:
                candle["high"] = max(candle["high"], price)
                candle["low"] = min(candle["low"], price)
                candle["close"] = price
                candle["volume"] += 0.015

    return run


def _rows(name: str, resolutions: Sequence[str], step_ms: int) -> tuple[Operation, ...]:
    together, singly = [resolutions], [(resolution,) for resolution in resolutions]
    return (
        Operation(name, "floor", partial(_floor, len(resolutions)), count=10_000),
        Operation(name, "lbproto", partial(_machines, together, step_ms), count=10_000),
        Operation(name, "separately", partial(_machines, singly, step_ms), count=10_000),
    )


OPERATIONS = (
    *_rows(ONE, ("1m",), 20)[:2],
    *_rows(COARSE, _COARSE, 200),
    *_rows(FIVE, _FIVE, 20),
    *_rows(SPARSE, _FIVE, 200),
)
"""All of them."""
