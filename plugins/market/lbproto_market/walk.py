"""Made-up prices and trades, each of them a function of a seed and the time of day. Pure.

Theory of operation. A price is a sum of noises, each twice as slow as the one before and stronger
by the root of two, as the steps of a random walk add up; the slowest one takes a day and a half.
Unlike a walk it can be looked up at any second without the way there, so that who starts later, or
again, or elsewhere, sees the same. How busy a second is comes from noises too, so that trades come
in clusters; most are small, and some are of round sizes.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from math import exp, floor, log, log10, sqrt
from random import Random

from lbproto_market.trades import Trade

__all__ = ["IDS_A_SECOND", "Walk"]

IDS_A_SECOND = 1000
"""How far ids of the same moment of two successive seconds are apart."""

# As the prices of large coins move: 60 % a year, here a second.
_VOLATILITY = 0.6 / (365 * 86_400) ** 0.5
_OCTAVES = 18
_HALF_SPREAD = 0.00005
_NOTIONAL = 400.0  # of the median trade, in the quote asset
_ROUND_SIZES = 0.15  # of the trades
_DIGITS = 5  # of a price, behind its first


class Walk:
    """One symbol's trades.

    Args:
        seed: another one is another history.
        symbol: its name, part of the seed.
        price: about which it moves, above 0, in the quote asset.
        rate: trades a second at each venue, on average.
    """

    def __init__(self, seed: int, symbol: str, price: float, rate: float) -> None:
        self._name = f"{seed}/{symbol}"
        self._log_price = log(price)
        self._rate = rate
        self._price_digits = floor(log10(price)) - _DIGITS
        self._amount_digits = floor(log10(_NOTIONAL / price)) - 3
        self._noise = lru_cache(maxsize=1024)(self._lattice)
        self._log_at = lru_cache(maxsize=16)(self._sum)

    def trades(self, second: int, venue: str) -> list[Trade]:
        """The trades of one second at one venue, in order.

        Args:
            second: since the Unix epoch.
        """
        random = Random(f"{self._name}/{venue}/{second}")  # noqa: S311 - made-up trades
        rate = self._rate * self._activity(second)
        begin, end = self._log_at(second), self._log_at(second + 1)
        trades: list[Trade] = []
        at = random.expovariate(rate)
        while at < 1.0 and len(trades) < IDS_A_SECOND:
            buys = random.random() < 0.5
            spread = _HALF_SPREAD if buys else -_HALF_SPREAD
            price = exp(begin + (end - begin) * at + spread)
            notional = _NOTIONAL * random.lognormvariate(0.0, 1.3)
            digits = self._amount_digits
            if random.random() < _ROUND_SIZES:
                digits += 3
            trades.append(
                Trade(
                    second * 1000 + int(at * 1000),
                    second * IDS_A_SECOND + len(trades),
                    venue,
                    _decimal(price, self._price_digits),
                    _decimal(notional / price, digits),
                    "buy" if buys else "sell",
                )
            )
            at += random.expovariate(rate)
        return trades

    def _activity(self, second: int) -> float:
        """How busy a second is: 1 on average, up to ten times as much."""
        wave = self._at("busy", 3, second) + self._at("busy", 6, second)
        return min(10.0, exp(0.7 * wave - 0.15))

    def _sum(self, second: int) -> float:
        moved = sum(
            _VOLATILITY * 0.7 * sqrt(1 << octave) * self._at("price", octave, second)
            for octave in range(_OCTAVES)
        )
        return self._log_price + moved

    def _at(self, kind: str, octave: int, second: int) -> float:
        """A noise that changes every 2 ** octave seconds, and is drawn straight in between."""
        place, rest = divmod(second, 1 << octave)
        here = self._noise(kind, octave, place)
        if not rest:
            return here
        return here + (self._noise(kind, octave, place + 1) - here) * rest / (1 << octave)

    def _lattice(self, kind: str, octave: int, place: int) -> float:
        return Random(f"{self._name}/{kind}/{octave}/{place}").gauss(0.0, 1.0)  # noqa: S311 - as above


def _decimal(number: float, digits: int) -> Decimal:
    """The number in whole units of 10 ** digits, at least one."""
    return Decimal(max(1, round(number / 10.0**digits))).scaleb(digits)
