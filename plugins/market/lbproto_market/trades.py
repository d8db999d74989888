"""A trade: what every candle is made of."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Literal, NamedTuple

__all__ = ["MalformedTrade", "Side", "Trade", "parse_trade"]

Side = Literal["buy", "sell", ""]
"""Which way the one who took the offer went; empty where the venue does not say."""

# The year 3000. What lies beyond is micro- or nanoseconds taken for milliseconds.
_END_OF_TIME = 32_503_680_000_000

_HIGHEST_ID = (1 << 63) - 1

# Between 1e-18 (a token in wei) and 1e18, so at most 37 digits: the sum of as many trades as will
# ever be seen stays within the precision that bars are added up with, and is exact.
_DIGITS = 18

_SIDES: dict[str, Side] = {"buy": "buy", "sell": "sell"}


class Trade(NamedTuple):
    """One trade, in the order of its fields: by event time, then by id, then by venue.

    That order decides which trade opens and which one closes a candle.
    """

    timestamp_ms: int
    """Event time at the venue, milliseconds since the Unix epoch."""
    id: int
    """The venue's number of this trade, 0 to 2**63 - 1; grows with time, and is never reused."""
    venue: str
    price: Decimal
    """Finite and above 0, in the quote asset."""
    amount: Decimal
    """Finite and not negative, in the base asset."""
    side: Side = ""


class MalformedTrade(ValueError):
    """A recorded row that is not a trade; the message says why."""


def parse_trade(
    timestamp_ms: str, id_: str, price: str, amount: str, side: str = "", *, venue: str
) -> Trade:
    """Read a trade from text, as recordings hold it; an unknown side is taken for no side.

    Raises:
        MalformedTrade: a field is missing, is not a number or is outside what a trade can have.
    """
    try:
        trade = Trade(
            int(timestamp_ms),
            int(id_),
            venue,
            Decimal(price),
            Decimal(amount),
            _SIDES.get(side, ""),
        )
    except (ValueError, InvalidOperation, TypeError):
        fields = f"{timestamp_ms!r}, {id_!r}, {price!r}, {amount!r}"
        raise MalformedTrade(f"not four numbers: {fields:.120}") from None
    if not 0 <= trade.timestamp_ms < _END_OF_TIME:
        raise MalformedTrade(f"timestamp_ms {timestamp_ms:.40} is outside the years 1970 to 2999")
    if not 0 <= trade.id <= _HIGHEST_ID:
        raise MalformedTrade(f"id {id_:.40} is outside 0 to 2**63 - 1")
    if not _is_exact(trade.price) or trade.price <= 0:
        raise MalformedTrade(f"price {price:.40} is not a number above 0")
    if not _is_exact(trade.amount) or trade.amount < 0:
        raise MalformedTrade(f"amount {amount:.40} is not a number of at least 0")
    return trade


def _is_exact(number: Decimal) -> bool:
    """Whether sums of such numbers lose nothing."""
    if not number.is_finite():
        return False
    lowest = number.as_tuple().exponent
    return isinstance(lowest, int) and lowest >= -_DIGITS and number.adjusted() <= _DIGITS
