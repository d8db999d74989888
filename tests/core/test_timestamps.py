"""The contract's form of a moment."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lbproto import iso_timestamp

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST = (datetime(1, 1, 1, tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)
LAST = (datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC) - EPOCH) // timedelta(
    milliseconds=1
)


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [
        (1_768_910_400_000, "2026-01-20T12:00:00.000Z"),
        (0, "1970-01-01T00:00:00.000Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (FIRST, "0001-01-01T00:00:00.000Z"),
        (LAST, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_moments(milliseconds: int, shown: str) -> None:
    assert iso_timestamp(milliseconds) == shown


@given(st.integers(FIRST, LAST))
@example(-62_000_000_000_001)
def test_a_moment_is_what_datetime_reads_back(milliseconds: int) -> None:
    shown = iso_timestamp(milliseconds)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", shown)
    assert datetime.fromisoformat(shown) == EPOCH + timedelta(milliseconds=milliseconds)


@given(st.integers(FIRST, LAST), st.integers(FIRST, LAST))
def test_moments_sort_as_text(one: int, other: int) -> None:
    assert (one < other) == (iso_timestamp(one) < iso_timestamp(other))


@pytest.mark.parametrize("milliseconds", [FIRST - 1, LAST + 1])
def test_other_years_are_refused(milliseconds: int) -> None:
    with pytest.raises((OverflowError, ValueError)):
        iso_timestamp(milliseconds)
