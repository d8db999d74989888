from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproto import NotFound
from lbproto_market import RESOLUTIONS, Resolution
from lbproto_market.resolutions import parse_resolution, spellings


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("name", "opening"),
    [
        ("1s", "2024-02-29T23:59:59"),
        ("5s", "2024-02-29T23:59:55"),
        ("15s", "2024-02-29T23:59:45"),
        ("1m", "2024-02-29T23:59:00"),
        ("5m", "2024-02-29T23:55:00"),
        ("15m", "2024-02-29T23:45:00"),
        ("30m", "2024-02-29T23:30:00"),
        ("1h", "2024-02-29T23:00:00"),
        ("4h", "2024-02-29T20:00:00"),
        ("1d", "2024-02-29T00:00:00"),
        ("1w", "2024-02-26T00:00:00"),  # a Monday
        ("1M", "2024-02-01T00:00:00"),
    ],
)
def test_every_resolution_cuts_time_in_utc(name: str, opening: str) -> None:
    cut = RESOLUTIONS[name]
    period = cut.period(_ms("2024-02-29T23:59:59.999"))
    assert cut.opening(period) == _ms(opening)
    next_opening = {"1w": "2024-03-04T00:00:00"}.get(name, "2024-03-01T00:00:00")
    assert cut.opening(period + 1) == _ms(next_opening)


def test_all_of_the_contract_exist() -> None:
    assert list(RESOLUTIONS) == [
        *("1s", "5s", "15s"),
        *("1m", "5m", "15m", "30m"),
        *("1h", "4h"),
        *("1d", "1w", "1M"),
    ]


@given(st.sampled_from(list(RESOLUTIONS.values())), st.integers(0, 32_503_679_999_999))
def test_a_period_holds_its_moments(cut: Resolution, moment: int) -> None:
    period = cut.period(moment)
    assert cut.opening(period) <= moment < cut.opening(period + 1)
    assert cut.period(cut.opening(period)) == period


@pytest.mark.parametrize(
    ("spelling", "name"),
    [("60", "1h"), ("240", "4h"), ("1", "1m"), ("1D", "1d"), ("1S", "1s"), ("1W", "1w")],
)
def test_tradingview_spellings(spelling: str, name: str) -> None:
    assert parse_resolution(spelling) is RESOLUTIONS[name]


def test_a_minute_is_no_month() -> None:
    assert parse_resolution("1m").length_ms == 60_000
    assert parse_resolution("1M").length_ms is None


def test_all_spellings_lead_to_the_same() -> None:
    everything = [spelling for name in RESOLUTIONS for spelling in spellings(name)]
    assert len(everything) == len(set(everything))
    for name in RESOLUTIONS:
        assert {parse_resolution(spelling).name for spelling in spellings(name)} == {name}


@pytest.mark.parametrize("name", ["", "2m", "1H", "1 m", "m", "1min", "0"])
def test_an_unknown_one_is_refused_naming_those_there_are(name: str) -> None:
    with pytest.raises(NotFound, match=r"there are: 1s, 5s, 15s, 1m, .*, 1w, 1M"):
        parse_resolution(name)
