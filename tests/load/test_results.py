from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproto.load import Connected, FanOut, Requests, Usage
from lbproto.load.results import Quantiles

MS = 1_000_000
USAGE = Usage(on_cpu=2.0, user=1.5, system=0.5, resident=1)


def fan_out(deliveries: int, seconds: float, server: Usage | None = None) -> FanOut:
    return FanOut(
        clients=1,
        seconds=seconds,
        deliveries=deliveries,
        expected=deliveries,
        triggers=1,
        events=1,
        fewest=0,
        most=0,
        lost=0,
        surplus=0,
        server=server,
    )


def requests(count: int, server: Usage | None) -> Requests:
    return Requests(clients=1, seconds=4, requests=count, depth=1, fewest=0, most=0, server=server)


def test_speeds() -> None:
    assert Connected(10, 2.0).per_second == 5
    assert fan_out(100, 4).per_second == 25
    assert fan_out(0, 0).per_second == 0
    assert requests(100, None).per_second == 25


def test_what_each_costs() -> None:
    assert fan_out(1_000, 1, USAGE).cpu_us == 2_000
    assert fan_out(0, 1, USAGE).cpu_us is None
    assert fan_out(1_000, 1).cpu_us is None
    assert requests(500, USAGE).cpu_us == 4_000


def test_results_stay_as_they_are() -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(fan_out(1, 1), "lost", 5)  # noqa: B010 - mypy would refuse the assignment


def test_quantiles() -> None:
    found = Quantiles.of([number * MS for number in range(100, -1, -1)])
    assert (found.p50, found.p90, found.p99, found.max) == (50, 90, 99, 100)


def test_no_delays_have_no_quantiles() -> None:
    assert Quantiles.of([]) == Quantiles(None, None, None, None, ())


@given(st.lists(st.integers(0, 10**12), min_size=1))
def test_every_delay_is_in_its_bar(delays: list[int]) -> None:
    bars = Quantiles.of(delays).histogram
    assert sum(count for _, count in bars) == len(delays)
    assert bars[0][1] > 0
    assert bars[-1][1] > 0
    ends = [until for until, _ in bars]
    assert ends == sorted(set(ends))
    for at, (until, _) in enumerate(bars):
        below = sum(delay <= until * MS * (1 + 1e-9) for delay in delays)
        assert below == sum(count for _, count in bars[: at + 1])
