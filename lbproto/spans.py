"""Spans of time that requests ask for: the contract's `window`.

The duration is read here, in one expression: msgspec reads days to seconds only, and what people
ask for is weeks, months and years, whose length depends on where they end.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated

from msgspec import Meta

from lbproto.errors import InvalidRequest
from lbproto.events import Model

__all__ = ["Duration", "Span", "span_bounds"]

# Unix milliseconds up to the year 9999, the last that a timestamp can show.
_Milliseconds = Annotated[int, Meta(ge=0, le=253_402_300_799_999)]
_Moment = Annotated[str, Meta(max_length=64, extra_json_schema={"format": "date-time"})]

Duration = Annotated[str, Meta(max_length=64, extra_json_schema={"format": "duration"})]
"""An ISO 8601 duration that looks back from now: `PT24H`, `P1W`, `P1M`."""


class Span(Model):
    """From a moment on and before another: ISO 8601, or Unix milliseconds."""

    from_: _Moment | _Milliseconds
    to: _Moment | _Milliseconds


_NUMBER = r"(\d{{1,9}}(?:[.,]\d{{1,9}})?){}"
_DURATION = re.compile(
    r"P(?!$)(?:(\d{1,4})Y)?(?:(\d{1,5})M)?"
    + "".join(rf"(?:{_NUMBER.format(unit)})?" for unit in "WD")
    + r"(?:T(?!$)"
    + "".join(rf"(?:{_NUMBER.format(unit)})?" for unit in "HMS")
    + r")?",
    re.ASCII,
)
_UNITS_MS = (7 * 86_400_000, 86_400_000, 3_600_000, 60_000, 1000)  # W, D, H, M, S


def span_bounds(window: Duration | Span, now_ms: int) -> tuple[int, int]:
    """The bounds [begin, end) of a window in Unix milliseconds.

    Args:
        window: the request's field of that name. A duration ends with the current millisecond, and
            begins in 1970 at the earliest.
        now_ms: what a duration looks back from, Unix milliseconds.

    Raises:
        InvalidRequest: not a duration, not a moment, or a window without an extent.
    """
    if isinstance(window, str):
        return _look_back(window, now_ms) + 1, now_ms + 1
    begin, end = _moment(window.from_, "from"), _moment(window.to, "to")
    if begin >= end:
        raise InvalidRequest("the window's `from` is not before its `to` - at `$.window`")
    return begin, end


def _look_back(duration: str, now_ms: int) -> int:
    """The moment that lies the duration before now; not before 1970."""
    match = _DURATION.fullmatch(duration)
    if match is None:
        raise InvalidRequest(
            f"{duration[:40]!r} is not an ISO 8601 duration like 'PT24H' or 'P7D' - at `$.window`"
        )
    years, months, *rest = match.groups()
    back = sum(
        Decimal(number.replace(",", ".")) * unit
        for number, unit in zip(rest, _UNITS_MS, strict=True)
        if number
    )
    all_months = int(years or 0) * 12 + int(months or 0)
    if back <= 0 and all_months == 0:
        raise InvalidRequest("the window is empty - at `$.window`")
    return max(0, _months_before(now_ms, all_months) - int(back))


def _months_before(now_ms: int, months: int) -> int:
    """The same day and time that many months ago, or that month's last day where it has none."""
    if months == 0:
        return now_ms
    now = datetime.fromtimestamp(now_ms // 1000, UTC)
    year, month = divmod(now.year * 12 + now.month - 1 - months, 12)
    if year < 1970:
        return 0
    day = min(now.day, monthrange(year, month + 1)[1])
    then = now.replace(year=year, month=month + 1, day=day)
    return int(then.timestamp()) * 1000 + now_ms % 1000


def _moment(value: str | int, field: str) -> int:
    """Unix milliseconds of a bound: a number of them, or ISO 8601 (UTC where it has no offset)."""
    if isinstance(value, int):
        return value
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        milliseconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        milliseconds = -1
    if milliseconds < 0:
        raise InvalidRequest(
            f"{value[:40]!r} is not an ISO 8601 moment from 1970 on - at `$.window.{field}`"
        )
    return milliseconds
