"""A tally: the trades of one period as they are counted, one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Self

from lbproto_market.bars import EXACT, Bar, Mark
from lbproto_market.trades import Trade

__all__ = ["Tally"]


@dataclass(slots=True)
class Tally:
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
        self.volume = EXACT.add(self.volume, trade.amount)
        self.trades += 1

    def bar(self) -> Bar:
        """What it has come to."""
        return Bar(
            self.opening,
            first=Mark(*self.first[:4]),
            last=Mark(*self.last[:4]),
            high=self.high,
            low=self.low,
            volume=self.volume,
            trades=self.trades,
            closed=self.closed,
            revision=self.revision,
        )
