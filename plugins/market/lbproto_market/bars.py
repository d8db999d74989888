"""A bar: the trades of one period, summed up exactly. Floats are for the wire only."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Self

from lbproto_market.trades import Trade

__all__ = ["Bar"]

# Enough for a sum of 10**20 amounts of the widest kind that a trade may have, without rounding.
_EXACT = Context(prec=76)


@dataclass(slots=True)
class Bar:
    """One period of one chart; equal whatever order its trades came in."""

    opening: int
    """When the period starts, in Unix milliseconds."""
    first: Trade
    last: Trade
    high: Decimal
    low: Decimal
    volume: Decimal
    """In the base asset."""
    trades: int = 1
    closed: bool = False
    revision: int = 0
    """How often the period was amended after it had closed."""

    @classmethod
    def of(cls, opening: int, trade: Trade) -> Self:
        """The bar of a period's first trade to arrive."""
        return cls(opening, trade, trade, trade.price, trade.price, trade.amount)

    def add(self, trade: Trade) -> None:
        """Count a trade of this period in; each trade once."""
        price = trade.price
        if trade > self.last:
            self.last = trade
        elif trade < self.first:
            self.first = trade
        if price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        self.volume = _EXACT.add(self.volume, trade.amount)
        self.trades += 1

    def merged(self, other: Bar) -> Bar:
        """The bar of both bars' trades, where they have none in common: two venues, one period."""
        return Bar(
            opening=self.opening,
            first=min(self.first, other.first),
            last=max(self.last, other.last),
            high=max(self.high, other.high),
            low=min(self.low, other.low),
            volume=_EXACT.add(self.volume, other.volume),
            trades=self.trades + other.trades,
            closed=self.closed and other.closed,
            revision=self.revision + other.revision,
        )
