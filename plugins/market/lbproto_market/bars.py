"""A bar: the trades of one period of one chart, summed up exactly. Floats are for the wire only."""

from __future__ import annotations

from decimal import Context, Decimal
from typing import NamedTuple

from msgspec import Struct

__all__ = ["EXACT", "Bar", "Mark", "merged"]

EXACT = Context(prec=76)
"""Enough for a sum of 10**20 amounts of the widest kind that a trade may have, without rounding."""


class Mark(NamedTuple):
    """The trade that opened or closed a period; in the order of its fields, as trades are."""

    timestamp_ms: int
    id: int
    venue: str
    price: Decimal


class Bar(Struct, frozen=True, gc=False):
    """One period at one moment, of one venue or of several; equal whatever order its trades had."""

    opening: int
    """When the period starts, in Unix milliseconds."""
    first: Mark
    last: Mark
    high: Decimal
    low: Decimal
    volume: Decimal
    """In the base asset."""
    trades: int
    closed: bool
    revision: int = 0
    """How often the period was amended after it had closed."""


def merged(one: Bar, other: Bar) -> Bar:
    """Both bars' trades in one bar, where they have none in common: two venues, one period.

    A revision of either is one of both.
    """
    return Bar(
        one.opening,
        first=min(one.first, other.first),
        last=max(one.last, other.last),
        high=max(one.high, other.high),
        low=min(one.low, other.low),
        volume=EXACT.add(one.volume, other.volume),
        trades=one.trades + other.trades,
        closed=one.closed and other.closed,
        revision=one.revision + other.revision,
    )
