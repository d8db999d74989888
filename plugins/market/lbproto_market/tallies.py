"""A tally: the trades of one period as they are counted, one after the other.

Numbers stay the decimals that they came as. To count in whole numbers of some unit, each price and
amount would have to be made one: measured, twice 0.9 µs a trade, where one exact sum and the
comparisons take 0.5. It is done once a bar, when that goes into the history.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Self

from lbproto_market.bars import EXACT, Bar, Mark
from lbproto_market.trades import Trade

__all__ = ["Tally"]


@dataclass(slots=True)
class Tally:
    """An open period of one venue; comes to the same whatever order its trades have."""

    opening: int
    """When the period starts, in Unix milliseconds."""
    first: Trade | Mark
    last: Trade | Mark
    high: Decimal
    low: Decimal
    volume: Decimal
    """In the base asset."""
    trades: int = 1

    @classmethod
    def of(cls, opening: int, trade: Trade) -> Self:
        """That of a period's first trade to arrive."""
        price = trade.price
        return cls(opening, trade, trade, price, price, trade.amount)

    @classmethod
    def within(cls, opening: int, part: Tally | Bar) -> Self:
        """That of the longer period that opens then, of which the part is the first to arrive."""
        return cls(opening, part.first, part.last, part.high, part.low, part.volume, part.trades)

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

    def absorb(self, part: Tally | Bar) -> None:
        """Count a part of this period in, with which it has no trade in common yet."""
        if part.first < self.first:
            self.first = part.first
        if part.last > self.last:
            self.last = part.last
        if part.high > self.high:
            self.high = part.high
        if part.low < self.low:
            self.low = part.low
        self.volume = EXACT.add(self.volume, part.volume)
        self.trades += part.trades

    def take_off(self, part: Tally) -> None:
        """Take a part off the sums that is to be absorbed later."""
        self.volume = EXACT.subtract(self.volume, part.volume)
        self.trades -= part.trades

    def bar(self, *, closed: bool, revision: int = 0) -> Bar:
        """What it has come to."""
        first = Mark._make(self.first[:4])
        return Bar(
            self.opening,
            first,
            first if self.last is self.first else Mark._make(self.last[:4]),
            self.high,
            self.low,
            self.volume,
            self.trades,
            closed,
            revision,
        )
