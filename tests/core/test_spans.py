"""Windows as requests ask for them: durations that look back, and spans."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lbproto import InvalidRequest, Span, span_bounds


def _ms(text: str) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


_NOW = _ms("2024-03-31T12:34:56.789")


@pytest.mark.parametrize(
    ("duration", "since"),
    [
        ("PT24H", "2024-03-30T12:34:56.789"),
        ("P1D", "2024-03-30T12:34:56.789"),
        ("P1W", "2024-03-24T12:34:56.789"),
        ("P2DT3H4M5.5S", "2024-03-29T09:30:51.289"),
        ("PT1,5H", "2024-03-31T11:04:56.789"),
        ("PT0.001S", "2024-03-31T12:34:56.788"),
        ("P1M", "2024-02-29T12:34:56.789"),  # February has no 31st
        ("P4M", "2023-11-30T12:34:56.789"),
        ("P1Y", "2023-03-31T12:34:56.789"),
        ("P1Y1M1W", "2023-02-21T12:34:56.789"),
        ("P9999Y", "1970-01-01T00:00:00"),
    ],
)
def test_a_duration_looks_back_from_now(duration: str, since: str) -> None:
    assert span_bounds(duration, _NOW) == (_ms(since) + 1, _NOW + 1)


@pytest.mark.parametrize(
    "duration",
    ["", "P", "PT", "24h", "PT24", "P1DT", "1D", "PT1H ", "-PT1H", "P1H", "PT1D", "PT1.H", "P-1D",
     "PTS", "p1d", "PT1H30", "P1.5M", "P٣D", "P9999999999D"],
)  # fmt: skip
def test_what_is_no_duration_is_refused(duration: str) -> None:
    with pytest.raises(InvalidRequest, match=r"is not an ISO 8601 duration .* at `\$\.window`"):
        span_bounds(duration, _NOW)


@pytest.mark.parametrize("duration", ["PT0S", "P0D", "P0Y", "PT0.0H"])
def test_an_empty_duration_is_refused(duration: str) -> None:
    with pytest.raises(InvalidRequest, match="empty"):
        span_bounds(duration, _NOW)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (1_700_000_000_123, 1_700_000_000_123),
        ("2023-11-14T22:13:20.123Z", 1_700_000_000_123),
        ("2023-11-14T23:13:20.123+01:00", 1_700_000_000_123),
        ("2023-11-14T22:13:20.123", 1_700_000_000_123),
        ("2023-11-14", 1_699_920_000_000),
    ],
)
def test_a_span_is_of_moments(moment: str | int, expected: int) -> None:
    later = "2024-01-01T00:00:00Z"
    assert span_bounds(Span(moment, later), 0) == (expected, _ms("2024-01-01"))


@pytest.mark.parametrize(
    "moment", ["", "now", "1700000000123", "2023-13-01", "1969-12-31", "0001-01-01T00:00+14:00"]
)
def test_what_is_no_moment_is_refused_with_its_path(moment: str) -> None:
    with pytest.raises(InvalidRequest, match=r"at `\$\.window\.from`"):
        span_bounds(Span(moment, 5), _NOW)
    with pytest.raises(InvalidRequest, match=r"at `\$\.window\.to`"):
        span_bounds(Span(5, moment), _NOW)


@pytest.mark.parametrize(("begin", "end"), [(5, 5), (6, 5), ("2024-01-02", "2024-01-01")])
def test_a_reversed_or_empty_span_is_refused(begin: str | int, end: str | int) -> None:
    with pytest.raises(InvalidRequest, match="`from` is not before its `to`"):
        span_bounds(Span(begin, end), _NOW)
