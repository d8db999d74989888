from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lbproto import LimitExceeded, Span
from lbproto_market import RESOLUTIONS
from lbproto_market.windows import parse_window


def _ms(text: str) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


_NOW = _ms("2024-03-31T12:34:56.789")
_MINUTE = RESOLUTIONS["1m"]


def test_a_duration_begins_with_a_period_or_before_it() -> None:
    begin, end = parse_window("PT24H", _MINUTE, _NOW)
    assert (begin, end) == (_ms("2024-03-30T12:34:56.789") + 1, _NOW + 1)


def test_a_span_is_as_it_is() -> None:
    assert parse_window(Span(7, 60_005), _MINUTE, _NOW) == (7, 60_005)


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
