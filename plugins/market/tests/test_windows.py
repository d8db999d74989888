from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lbproto import InvalidRequest, LimitExceeded
from lbproto_market import RESOLUTIONS, Span
from lbproto_market.windows import parse_window


def _ms(text: str) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


_NOW = _ms("2024-03-31T12:34:56.789")
_MINUTE = RESOLUTIONS["1m"]


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
    ],
)
def test_a_duration_looks_back_from_now(duration: str, since: str) -> None:
    cut = RESOLUTIONS["1s"] if duration.startswith("PT") else RESOLUTIONS["1m"]
    begin, end = parse_window(duration, cut, _NOW)
    assert (begin, end) == (min(_ms(since) + 1, cut.opening(cut.period(_NOW))), _NOW + 1)


@pytest.mark.parametrize("name", RESOLUTIONS)
def test_a_duration_takes_in_the_current_period_however_short_it_is(name: str) -> None:
    cut = RESOLUTIONS[name]
    begin, end = parse_window("PT0.001S", cut, _NOW)
    assert begin == cut.opening(cut.period(_NOW)) < end


@pytest.mark.parametrize("now", [_NOW, _ms("2024-03-31T12:34:00"), _ms("2024-03-31T12:34:59.999")])
def test_as_many_periods_as_the_duration_has(now: int) -> None:
    begin, end = parse_window("PT60M", _MINUTE, now)
    openings = [_MINUTE.opening(_MINUTE.period(now) - back) for back in range(100)]
    assert sum(begin <= opening < end for opening in openings) == 60


@pytest.mark.parametrize(
    "duration",
    ["", "P", "PT", "24h", "PT24", "P1DT", "1D", "PT1H ", "-PT1H", "P1H", "PT1D", "PT1.H", "P-1D",
     "PTS", "p1d", "PT1H30", "P1.5M", "P٣D", "P9999999999D"],
)  # fmt: skip
def test_what_is_no_duration_is_refused(duration: str) -> None:
    with pytest.raises(InvalidRequest, match=r"is not an ISO 8601 duration .* at `\$\.window`"):
        parse_window(duration, _MINUTE, _NOW)


@pytest.mark.parametrize("duration", ["PT0S", "P0D", "P0Y", "PT0.0H"])
def test_an_empty_duration_is_refused(duration: str) -> None:
    with pytest.raises(InvalidRequest, match="empty"):
        parse_window(duration, _MINUTE, _NOW)


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
    assert parse_window(Span(moment, later), _MINUTE, 0) == (expected, _ms("2024-01-01"))


@pytest.mark.parametrize(
    "moment", ["", "now", "1700000000123", "2023-13-01", "1969-12-31", "0001-01-01T00:00+14:00"]
)
def test_what_is_no_moment_is_refused_with_its_path(moment: str) -> None:
    with pytest.raises(InvalidRequest, match=r"at `\$\.window\.from`"):
        parse_window(Span(moment, 5), _MINUTE, _NOW)
    with pytest.raises(InvalidRequest, match=r"at `\$\.window\.to`"):
        parse_window(Span(5, moment), _MINUTE, _NOW)


@pytest.mark.parametrize(("begin", "end"), [(5, 5), (6, 5), ("2024-01-02", "2024-01-01")])
def test_a_reversed_or_empty_span_is_refused(begin: str | int, end: str | int) -> None:
    with pytest.raises(InvalidRequest, match="`from` is not before its `to`"):
        parse_window(Span(begin, end), _MINUTE, _NOW)


@pytest.mark.parametrize(
    ("window", "name"),
    [
        ("P99999D", "1m"),
        ("P9999Y", "1m"),
        ("P1M", "1s"),
        (Span(1_700_000_000, 1_700_000_000_000), "1m"),
    ],
)
def test_a_huge_window_is_refused(window: str | Span, name: str) -> None:
    with pytest.raises(LimitExceeded, match="narrow it, or take a coarser resolution"):
        parse_window(window, RESOLUTIONS[name], _NOW)


def test_a_long_window_of_a_coarse_resolution_is_not_huge() -> None:
    assert parse_window("P9999Y", RESOLUTIONS["1M"], _NOW) == (1, _NOW + 1)
