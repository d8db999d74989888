"""Single values as exports write them: texts of CSV, numbers of JSON, whatever Parquet has."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from lbproto_compliance.addresses import MalformedAddress, parse
from lbproto_compliance.sources.records import Fields, Malformed

__all__ = [
    "amount",
    "coin_address",
    "evm_address",
    "failed",
    "integer",
    "moment",
    "text",
    "told",
    "tx_hash",
]

_HIGHEST = (1 << 63) - 1
_DIGITS = 78
"""Of 2**256."""

_EVM = re.compile(r"0x[0-9a-f]{40}")
_HASH = re.compile(r"(?:0x)?[0-9a-f]{64}")

# Addresses: to check one takes longer than all else of its row, and many come again and again.
_REMEMBERED = 65_536

# The year 3000: what is beyond is in milliseconds.
_END_OF_TIME = 32_503_680_000


def told(record: Fields, name: str) -> bool:
    """Whether there is anything."""
    return record.get(name) not in (None, "")


def failed(record: Fields, name: str) -> bool:
    """Whether a status says that; where there is none, it does not."""
    return told(record, name) and integer(record, name) == 0


def text(record: Fields, name: str) -> str | None:
    """A text; None where it is empty."""
    if not told(record, name):
        return None
    value = record[name]
    if not isinstance(value, str):
        raise Malformed(f"{name} is not text")
    return value


def integer(record: Fields, name: str, highest: int = _HIGHEST) -> int:
    """A whole number from 0."""
    return int(amount(record, name, highest))


def amount(record: Fields, name: str, highest: int | None = None) -> str:
    """A whole number from 0 of at most 78 digits, as decimal text."""
    if not told(record, name):
        raise Malformed(f"{name} is missing")
    value = record[name]
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _DIGITS:
        number = int(value)
    else:
        number = _whole(name, value)
    if highest is not None and number > highest:
        raise Malformed(f"{name} is more than {highest}")
    return str(number)


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise Malformed(f"{name} is not a number")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise Malformed(f"{name} is not a number: {value!r:.40}") from None
    if not number.is_finite() or number.adjusted() >= _DIGITS:
        raise Malformed(f"{name} is beyond 78 digits")
    if number < 0 or number != number.to_integral_value():
        raise Malformed(f"{name} is not a whole number of base units: {value!r:.40}")
    if isinstance(value, float) and number > 2**53:
        raise Malformed(f"{name} is a floating-point number, and no longer exact: {value!r:.40}")
    return int(number)


def moment(record: Fields, name: str) -> datetime:
    """A time from 1970 on: seconds since then, or ISO 8601, UTC where it does not say."""
    value = record.get(name)
    if isinstance(value, datetime):
        found = value
    elif isinstance(value, str) and not value.isdigit() and value:
        try:
            found = datetime.fromisoformat(value.replace(" UTC", "+00:00"))
        except ValueError:
            raise Malformed(f"{name} is not a time: {value!r:.40}") from None
    else:
        return datetime.fromtimestamp(integer(record, name, _END_OF_TIME), UTC)
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    if not 0 <= found.timestamp() <= _END_OF_TIME:
        raise Malformed(f"{name} is not a time that a block was made: {value!s:.40}")
    return found


def evm_address(record: Fields, name: str) -> str | None:
    """An address of 20 bytes in lower case; None where it is empty."""
    value = text(record, name)
    if value is None:
        return None
    value = value.lower()
    if not _EVM.fullmatch(value):
        raise Malformed(f"{name} is not an address: {value!r:.60}")
    return value


def coin_address(value: Any) -> str | None:
    """An address of Bitcoin; None where it is empty."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise Malformed(f"{value!r:.60} is not an address")
    try:
        return _parsed(value)
    except MalformedAddress as malformed:
        raise Malformed(f"{value!r:.60}: {malformed.message}") from None


@lru_cache(_REMEMBERED)
def _parsed(value: str) -> str:
    return parse("bitcoin", value)


def tx_hash(record: Fields, name: str) -> str:
    """The hash of a transaction, in lower case."""
    value = (text(record, name) or "").lower()
    if not _HASH.fullmatch(value):
        raise Malformed(f"{name} is not a hash of 32 bytes: {value!r:.80}")
    return value
