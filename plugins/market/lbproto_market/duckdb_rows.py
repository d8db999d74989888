"""Bars as the tables of a `DuckDBArchive` have them: exactly, or not at all. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from lbproto_market.bars import EXACT, Bar, Mark

__all__ = ["COLUMN_TYPES", "as_columns", "bar_of", "is_text", "row_of"]

COLUMN_TYPES = (
    "INTEGER", "BIGINT", "BIGINT", "BIGINT", "VARCHAR", "BIGINT", "BIGINT", "VARCHAR", "VARCHAR",
    "VARCHAR", "VARCHAR", "VARCHAR", "BIGINT", "BOOLEAN", "BIGINT",
)  # fmt: skip
"""Of a chart and a row, as they are handed to DuckDB: long numbers as text."""

# Of a volume, between `whole` and `fraction`: no amount has more digits after its point.
_DIGITS = 18
_ONE = 10**_DIGITS

# Before it, as DECIMAL(38, 18) has them, and HUGEINT with room for adding up a hundred venues.
_PRICE_DIGITS = 20
_VOLUME_DIGITS = 36

_HIGHEST = (1 << 63) - 1


def row_of(bar: Bar) -> tuple[Any, ...] | None:
    """A bar as its table has it, less the chart; None if it would not fit exactly."""
    first, last = bar.first, bar.last
    prices = (first.price, last.price, bar.high, bar.low)
    numbers = (bar.opening, first.timestamp_ms, first.id, last.timestamp_ms, last.id, bar.trades)
    if not (
        all(_fits(price, _PRICE_DIGITS) for price in prices)
        and _fits(bar.volume, _VOLUME_DIGITS)
        and all(0 <= number <= _HIGHEST for number in numbers)
    ):
        return None
    first_price, last_price, high, low = (f"{price:f}" for price in prices)
    whole, fraction = divmod(int(EXACT.scaleb(bar.volume, _DIGITS)), _ONE)
    return (
        bar.opening,
        first.timestamp_ms,
        first.id,
        first_price,
        last.timestamp_ms,
        last.id,
        last_price,
        high,
        low,
        str(whole),
        str(fraction),
        bar.trades,
        bar.closed,
        bar.revision,
    )


def _fits(number: Decimal, digits: int) -> bool:
    """Whether a number of at least 0 has so many digits before its point, and 18 after it."""
    lowest = number.as_tuple().exponent
    return isinstance(lowest, int) and lowest >= -_DIGITS and number.adjusted() < digits


def is_text(name: str) -> bool:
    """Whether UTF-8 can encode it: half a surrogate pair it cannot."""
    return name.isascii() or not any("\ud800" <= character <= "\udfff" for character in name)


def bar_of(
    opening: int,
    first: tuple[Any, ...],
    last: tuple[Any, ...],
    high: Decimal,
    low: Decimal,
    whole: int,
    fraction: int,
    trades: int,
    closed: bool,
    revision: int,
) -> Bar:
    """The bar of a row; `first` and `last` are their time, id, venue and price."""
    return Bar(
        opening,
        first=Mark(*first),
        last=Mark(*last),
        high=high,
        low=low,
        volume=EXACT.scaleb(Decimal(whole * _ONE + fraction), -_DIGITS),
        trades=trades,
        closed=closed,
        revision=revision,
    )


def as_columns(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    """Rows as DuckDB takes them, at least one: a list for each column."""
    return [list(column) for column in zip(*rows, strict=True)]
