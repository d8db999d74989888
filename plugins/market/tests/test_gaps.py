from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproto_market import RESOLUTIONS, Trade
from lbproto_market.gaps import filled, needed
from lbproto_market.machine import Machine

_SECOND = RESOLUTIONS["1s"]


def _trade(timestamp_ms: int, price: int, id_: int) -> Trade:
    return Trade(timestamp_ms, id_, "binance", Decimal(price), Decimal(1))


def _machine(fill: int) -> Machine:
    return Machine(("binance",), [_SECOND, RESOLUTIONS["1m"]], fill=fill)


def _told(outcome: object, resolution: str = "1s") -> list[tuple[int, int, int, int]]:
    return [
        (bar.opening // 1000, int(bar.last.price), bar.trades, bar.revision)
        for cut, bar in outcome.candles  # type: ignore[attr-defined]
        if cut.name == resolution
    ]


def test_gaps_stay_by_default() -> None:
    machine = Machine(("binance",), [_SECOND])
    machine.add([_trade(1000, 10, 1)])
    assert _told(machine.advance(9000)) == [(1, 10, 1, 0)]


def test_a_quiet_period_stands_where_the_last_trade_left_it() -> None:
    machine = _machine(fill=100)
    machine.add([_trade(1000, 10, 1), _trade(1500, 12, 2)])
    assert _told(machine.advance(3999)) == [(1, 12, 2, 0), (2, 12, 0, 0)]
    outcome = machine.add([_trade(5000, 13, 3)])
    assert _told(outcome) == [(3, 12, 0, 0), (4, 12, 0, 0)]
    for _, bar in outcome.candles:
        assert {bar.first.price, bar.high, bar.low, bar.last.price} == {Decimal(12)}
        assert (bar.volume, bar.trades, bar.closed) == (Decimal(0), 0, True)
    assert [bar.opening for bar in machine.newest(0, 3)] == [2000, 3000, 4000]
    assert [bar.opening for bar in machine.between(0, 2500, 4000)] == [3000]


def test_a_late_trade_amends_a_quiet_period_and_those_after_it() -> None:
    machine = _machine(fill=100)
    machine.add([_trade(1000, 10, 1), _trade(5000, 13, 2)])
    assert _told(machine.add([_trade(3500, 11, 3)])) == [(3, 11, 1, 1), (4, 11, 0, 1)]
    assert _told(machine.add([_trade(1500, 9, 4)])) == [(1, 9, 2, 1), (2, 9, 0, 1)]
    # What leaves the close alone leaves the quiet ones alone.
    assert _told(machine.add([_trade(1200, 8, 5)])) == [(1, 9, 3, 2)]
    assert _told(machine.add([_trade(2500, 7, 6)])) == [(2, 7, 1, 3)]


def test_a_market_that_stands_still_for_long_is_closed_and_not_quiet() -> None:
    machine = _machine(fill=3)
    machine.add([_trade(1000, 10, 1)])
    outcome = machine.add([_trade(10**12, 11, 2)])
    assert _told(outcome) == [(1, 10, 1, 0), (2, 10, 0, 0), (3, 10, 0, 0), (4, 10, 0, 0)]
    assert len(_told(outcome, "1m")) == 4


def test_quiet_periods_are_told_as_time_passes() -> None:
    machine = _machine(fill=5)
    machine.add([_trade(1000, 10, 1)])
    told = [_told(machine.advance(second * 1000)) for second in range(2, 10)]
    assert [len(quiet) for quiet in told] == [1, 1, 1, 1, 1, 1, 0, 0]


@pytest.mark.parametrize("name", ["1m", "1w", "1M"])
def test_every_resolution_is_filled(name: str) -> None:
    machine = Machine(("binance",), fill=1000)
    machine.add([_trade(0, 10, 1)])
    machine.advance(100 * 86_400_000)
    level = list(RESOLUTIONS).index(name)
    openings = [bar.opening for bar in machine.newest(level, 1000)]
    cut = RESOLUTIONS[name]
    first = cut.period(0)
    most = min(1001, cut.period(100 * 86_400_000) - first)
    assert openings == [cut.opening(first + number) for number in range(most)][-1000:]


@given(
    st.sets(st.integers(0, 60), min_size=1, max_size=12),
    st.integers(0, 20),
    st.integers(1, 40),
    st.integers(0, 70),
)
def test_filling_is_what_it_says(seconds: set[int], most: int, count: int, begin: int) -> None:
    machine = Machine(("binance",), [_SECOND])
    machine.add(_trade(second * 1000, second + 1, second) for second in sorted(seconds))
    machine.advance(70_000)
    bars = list(machine.between(0, 0, 70_000))
    expected = []
    for second in range(70):
        before = max((known for known in seconds if known <= second), default=None)
        if before is not None and second - before <= most:
            expected.append((second * 1000, Decimal(before + 1)))
    whole = [(b.opening, b.last.price) for b in filled(bars, _SECOND, 0, 70_000, most)]
    assert whole == expected
    part = filled(bars, _SECOND, begin * 1000, 70_000, most)
    assert [bar.opening for bar in part] == [at for at, _ in expected if at >= begin * 1000]
    fewest = needed(bars, _SECOND, 70_000, most, count)
    enough = [(b.opening, b.last.price) for b in filled(fewest, _SECOND, 0, 70_000, most)]
    assert enough[-count:] == expected[-count:]
    assert len(fewest) == 1 or len(enough) - 1 - most < count
