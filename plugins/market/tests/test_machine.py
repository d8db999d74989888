from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal
from itertools import pairwise

import pytest

from lbproto_market import RESOLUTIONS, Trade
from lbproto_market.bars import Bar
from lbproto_market.machine import Machine, Outcome

VENUES = ("binance", "kraken", "coinbase")
SECOND = 1000


def _trade(
    timestamp_ms: int, price: int = 10, id_: int = 0, amount: str = "1", venue: str = "binance"
) -> Trade:
    return Trade(timestamp_ms, id_, venue, Decimal(price), Decimal(amount))


def _machine(*resolutions: str, venues: Sequence[str] = ("binance",), **options: int) -> Machine:
    return Machine(venues, [RESOLUTIONS[name] for name in resolutions or ("1s",)], **options)


def _level(machine: Machine, resolution: str) -> int:
    return [level.cut.name for level in machine.plan].index(resolution)


def _bars(
    machine: Machine, resolution: str = "1s", venues: Collection[str] | None = None
) -> list[Bar]:
    """All of them, the open ones last."""
    level = _level(machine, resolution)
    return [*machine.between(level, -1 << 60, 1 << 60, venues), *machine.open(venues)[level]]


def _seen(bars: Collection[Bar]) -> list[tuple[object, ...]]:
    return [
        (b.opening, b.first.price, b.high, b.low, b.last.price, b.volume, b.trades) for b in bars
    ]


def _candles(outcome: Outcome) -> list[tuple[str, int, bool, int, int]]:
    return [
        (cut.name, bar.opening, bar.closed, bar.revision, bar.trades)
        for cut, bar in outcome.candles
    ]


def _add_each(machine: Machine, trades: Collection[Trade]) -> None:
    for trade in trades:
        machine.add([trade])


def test_trades_of_one_period_make_one_bar() -> None:
    machine = _machine()
    trades = [(1000, 10), (1400, 12), (1400, 7), (1999, 9)]
    outcome = machine.add(_trade(ms, price, number) for number, (ms, price) in enumerate(trades))
    assert (len(outcome.trades), outcome.candles) == (4, [])
    (bar,) = _bars(machine)
    assert _seen([bar]) == [(1000, 10, 12, 7, 9, 4, 4)]
    assert (bar.closed, bar.revision) == (False, 0)


def test_first_and_last_go_by_time_then_by_id_then_by_venue() -> None:
    machine = _machine(venues=VENUES)
    for ms, id_, price, venue in (
        (1500, 5, 50, "kraken"),
        (1500, 4, 41, "kraken"),
        (1500, 4, 40, "binance"),
        (1500, 6, 60, "binance"),
        (1500, 6, 61, "kraken"),
        (1499, 9, 90, "binance"),
    ):
        machine.add([_trade(ms, price, id_, venue=venue)])
    assert _seen(_bars(machine)) == [(1000, 90, 90, 40, 61, 6, 6)]


def test_a_later_trade_or_time_alone_closes() -> None:
    machine = _machine()
    assert _candles(machine.add([_trade(1000, id_=1)])) == []
    assert _candles(machine.add([_trade(2000, id_=2)])) == [("1s", 1000, True, 0, 1)]
    assert _candles(machine.advance(2999)) == []
    assert _candles(machine.advance(3000)) == [("1s", 2000, True, 0, 1)]
    assert _candles(machine.advance(2500)) == _candles(machine.advance(9000)) == []
    assert [bar.opening for bar in _bars(machine)] == [1000, 2000]


def test_a_coarser_resolution_is_made_of_finer_ones() -> None:
    machine = _machine("1s", "5s", "1m")
    outcome = machine.add([_trade(ms, ms, ms) for ms in (1000, 4000, 4500, 5000, 60_000)])
    assert _candles(outcome) == [
        ("1s", 1000, True, 0, 1),
        ("1s", 4000, True, 0, 2),
        ("5s", 0, True, 0, 3),
        ("1s", 5000, True, 0, 1),
        ("5s", 5000, True, 0, 1),
        ("1m", 0, True, 0, 4),
    ]
    assert [settled[:2] for settled in outcome.settled] == [
        ("binance", name) for name, *_ in _candles(outcome)
    ]


@pytest.mark.parametrize("names", [("1m", "1s"), ("1w", "1M"), ("1M", "1w")])
def test_resolutions_that_do_not_divide_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="divides it"):
        _machine(*names)
    with pytest.raises(ValueError, match="at least one"):
        Machine(VENUES, [])


def test_the_cascade_is_as_documented() -> None:
    plan = Machine(VENUES).plan
    feeds = {level.cut.name: [plan[k].cut.name for k in level.feeds] for level in plan}
    names = list(RESOLUTIONS)
    assert feeds == {
        **{finer: [coarser] for finer, coarser in pairwise(names)},
        "1d": ["1w", "1M"],
        "1w": [],
        "1M": [],
    }


def test_a_late_trade_amends_in_every_resolution_that_it_touches() -> None:
    machine = _machine("1s", "5s", "1m", "1h")
    machine.add([_trade(ms, 10, ms) for ms in (1000, 59_000, 61_000, 66_000)])
    outcome = machine.add([_trade(1500, 99, 1)])
    assert _candles(outcome) == [
        ("1s", 1000, True, 1, 2),
        ("5s", 0, True, 1, 2),
        ("1m", 0, True, 1, 3),
    ]
    assert _seen(machine.open()[3]) == [(0, 10, 99, 10, 10, 5, 5)]
    assert _candles(machine.add([_trade(64_000, 5, 2)]))[1] == ("5s", 60_000, True, 1, 2)
    assert _seen(machine.open()[2]) == [(60_000, 10, 10, 5, 10, 3, 3)]


def test_a_late_trade_of_a_gap_makes_its_bar() -> None:
    machine = _machine()
    _add_each(machine, [_trade(1000, id_=1), _trade(3000, id_=2)])
    assert _candles(machine.add([_trade(2000, id_=3)])) == [("1s", 2000, True, 1, 1)]
    assert [bar.opening for bar in _bars(machine)] == [1000, 2000, 3000]


def test_what_a_call_says_is_as_it_was_then() -> None:
    outcome = _machine().add([_trade(1000, id_=1), _trade(2000, id_=2), _trade(1500, id_=3)])
    assert _candles(outcome) == [("1s", 1000, True, 0, 1), ("1s", 1000, True, 1, 2)]


def test_lateness_holds_candles_open() -> None:
    machine = _machine("1s", "5s", lateness_ms=2000)
    assert _candles(machine.add([_trade(1000, 10, 1), _trade(4999, 10, 2)])) == [
        ("1s", 1000, True, 0, 1)
    ]
    assert _candles(machine.add([_trade(3500, 11, 3), _trade(4100, 12, 4)])) == []
    assert [bar.opening for bar in machine.open()[0]] == [3000, 4000]
    assert _candles(machine.add([_trade(6999, 13, 5)])) == [
        ("1s", 3000, True, 0, 1),
    ]
    assert [bar.opening for bar in machine.open()[1]] == [0, 5000]
    assert _candles(machine.advance(7000)) == [("1s", 4000, True, 0, 2), ("5s", 0, True, 0, 4)]
    assert _candles(machine.add([_trade(4000, 14, 6)])) == [
        ("1s", 4000, True, 1, 3),
        ("5s", 0, True, 1, 5),
    ]


def test_a_trade_ahead_of_time_is_refused_and_moves_nothing() -> None:
    machine = _machine(ahead_ms=5000)
    machine.add([_trade(100_000, id_=1)], wall_ms=100_000)
    outcome = machine.add([_trade(105_001, id_=2), _trade(4_000_000_000_000, id_=3)], 100_000)
    assert (outcome.trades, outcome.skewed, outcome.left_out) == ([], 2, 0)
    assert machine.now_ms == 100_000
    assert len(machine.add([_trade(105_000, id_=4)], wall_ms=100_000).trades) == 1
    # It is not a duplicate once it is no longer ahead.
    assert len(machine.add([_trade(105_001, id_=2)], wall_ms=100_001).trades) == 1


@pytest.mark.parametrize("timestamp_ms", [-1, 1_675_329_600_000_000, 1 << 70])
def test_a_trade_of_no_possible_time_is_refused(timestamp_ms: int) -> None:
    machine = Machine(VENUES)
    assert machine.add([_trade(timestamp_ms)]).skewed == 1
    assert _bars(machine) == []


def test_a_feed_may_be_ahead_of_the_wall() -> None:
    machine = _machine(ahead_ms=5000)
    machine.advance(1_000_000)
    assert machine.add([_trade(1_005_000, id_=1)], wall_ms=100_000).skewed == 0
    assert machine.add([_trade(1_005_001, id_=2)], wall_ms=100_000).skewed == 1


def test_a_trade_does_not_move_what_later_ones_may_be_ahead_of() -> None:
    machine = _machine(ahead_ms=5000)
    for number in range(10):
        machine.add([_trade(100_000 + number * 4000, id_=number)], wall_ms=100_000)
    assert machine.now_ms == 104_000


def test_a_repeated_trade_counts_once_however_late() -> None:
    machine = _machine("1s", "1m")
    trades = [_trade(number * 100, number, number) for number in range(100)]
    machine.add(trades)
    machine.advance(100_000)
    outcome = machine.add([*trades, *trades])
    assert (outcome.trades, outcome.candles, outcome.left_out) == ([], [], 0)
    assert _seen(_bars(machine, "1m")) == [(0, 0, 99, 0, 99, 100, 100)]


def test_the_same_id_at_two_venues_is_two_trades() -> None:
    machine = _machine(venues=VENUES)
    outcome = machine.add([_trade(1000, id_=1, venue=venue) for venue in VENUES])
    assert len(outcome.trades) == 3


def test_the_history_is_bounded_and_what_is_too_late_for_it_is_counted() -> None:
    machine = _machine("1s", "1m", history=3)
    _add_each(machine, [_trade(second * SECOND, id_=second) for second in range(10)])
    assert [bar.opening for bar in _bars(machine)] == [6000, 7000, 8000, 9000]
    assert machine.floor(0) == 6000
    outcome = machine.add([_trade(5000, 99, 100)])
    assert (outcome.left_out, outcome.candles, len(outcome.trades)) == (1, [], 1)
    # A coarser one still reaches back to it.
    assert _seen(_bars(machine, "1m")) == [(0, 10, 99, 10, 10, 11, 11)]
    assert machine.add([_trade(6000, id_=101)]).left_out == 0


def test_a_late_bar_pushes_the_oldest_out() -> None:
    machine = _machine(history=2)
    _add_each(machine, [_trade(ms, id_=ms) for ms in (1000, 3000, 5000, 4000)])
    assert [bar.opening for bar in _bars(machine)] == [3000, 4000, 5000]


def test_what_is_held_of_a_time_is_held_of_all_venues_or_of_none() -> None:
    machine = _machine(venues=("binance", "kraken"), history=3)
    machine.add([_trade(0, id_=1, venue="kraken"), _trade(9000, id_=2, venue="kraken")])
    machine.add([_trade(second * SECOND, id_=second) for second in range(20)])
    assert [bar.opening for bar in _bars(machine)] == [16_000, 17_000, 18_000, 19_000]
    assert machine.add([_trade(15_000, id_=3, venue="kraken")]).left_out == 1


def test_a_late_bar_is_kept_beside_a_fuller_venue() -> None:
    machine = _machine(venues=("binance", "kraken"), history=8)
    machine.add(_trade(second * SECOND, id_=second) for second in range(10))
    outcome = machine.add([_trade(1000, id_=1, venue="kraken")])
    assert _candles(outcome) == [("1s", 1000, True, 1, 2)]
    assert [bar.opening for bar in _bars(machine)] == [second * SECOND for second in range(10)]


def test_how_late_a_trade_may_be_does_not_depend_on_what_is_still_held() -> None:
    machine = _machine(venues=("binance", "kraken"), history=8)
    machine.add(_trade(second * SECOND, id_=second) for second in range(10))
    assert machine.holds(0, 0)
    outcome = machine.add([_trade(999, id_=1, venue="kraken")])
    assert (outcome.left_out, outcome.candles) == (1, [])
    # What lacks it is held no more.
    assert (machine.holds(0, 999), machine.floor(0)) == (False, 1000)


def test_what_was_not_resumed_with_is_not_held() -> None:
    earlier, machine = _machine(history=5), _machine(history=5)
    settled = earlier.add(_trade(second * SECOND, id_=second) for second in range(8)).settled
    machine.resume(earlier.now_ms, settled[-5:], {"binance": (0, [5, 6])})
    assert machine.floor(0) == 2000
    assert [bar.opening for bar in _bars(machine)] == [2000, 3000, 4000, 5000, 6000]
    assert machine.add([_trade(1500, id_=100)]).left_out == 1
    assert _candles(machine.add([_trade(2500, id_=101)])) == [("1s", 2000, True, 1, 2)]


def test_sums_are_exact() -> None:
    machine = _machine("1s", "1m")
    machine.add(_trade(0, id_=number, amount="0.1") for number in range(10))
    machine.add([_trade(1000, id_=11, amount="1000000000000000000")])
    machine.add([_trade(2000, id_=12, amount="0.000000000000000001")])
    machine.advance(60_000)
    (minute,) = _bars(machine, "1m")
    assert minute.volume == Decimal("1000000000000000001.000000000000000001")
