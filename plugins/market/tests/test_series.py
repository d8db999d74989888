from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from random import Random

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbproto_market import RESOLUTIONS, Trade
from lbproto_market.series import Series
from lbproto_market.tallies import Tally


def _trade(timestamp_ms: int, price: int = 10, id_: int = 0, amount: str = "1") -> Trade:
    return Trade(timestamp_ms, id_, "venue", Decimal(price), Decimal(amount))


def _series(history: int = 1000) -> Series:
    return Series(RESOLUTIONS["1s"], history)


def _bars(series: Series) -> list[Tally]:
    return series.bars(0, 1 << 60)


def _prices(bar: Tally) -> tuple[object, ...]:
    return (bar.first.price, bar.high, bar.low, bar.last.price)


def _summary(series: Series) -> list[tuple[object, ...]]:
    """What a bar says, apart from how often it was amended."""
    return [
        (bar.opening, bar.first, bar.last, bar.high, bar.low, bar.volume, bar.trades, bar.closed)
        for bar in _bars(series)
    ]


def test_trades_of_one_period_make_one_bar() -> None:
    series = _series()
    for number, (ms, price) in enumerate(((1000, 10), (1400, 12), (1400, 7), (1999, 9))):
        changed = series.add(_trade(ms, price, number))
        assert changed == (series.open,)
    (bar,) = _bars(series)
    assert (bar.opening, bar.trades, bar.closed, bar.revision) == (1000, 4, False, 0)
    assert _prices(bar) == (10, 12, 7, 9)
    assert bar.volume == 4


def test_first_and_last_go_by_time_and_then_by_id() -> None:
    series = _series()
    for timestamp, id_, price in ((1500, 5, 50), (1500, 4, 40), (1500, 6, 60), (1499, 9, 90)):
        series.add(_trade(timestamp, price, id_))
    (bar,) = _bars(series)
    assert _prices(bar) == (90, 90, 40, 60)


def test_a_later_trade_closes_the_bar_and_opens_the_next() -> None:
    series = _series()
    series.add(_trade(1000, 10))
    closed, opened = series.add(_trade(2000, 11))
    assert (closed.opening, closed.closed) == (1000, True)
    assert _prices(closed) == (10, 10, 10, 10)
    assert (opened.opening, opened.closed) == (2000, False)


def test_time_alone_closes_a_bar() -> None:
    series = _series()
    series.add(_trade(1000))
    assert series.advance(1999) == ()
    (closed,) = series.advance(2000)
    assert closed.closed
    assert series.open is None
    assert series.advance(1500) == series.advance(9000) == ()


def test_a_period_without_trades_has_no_bar() -> None:
    series = _series()
    series.add(_trade(1000))
    series.add(_trade(5000))
    series.advance(9000)
    assert [bar.opening for bar in _bars(series)] == [1000, 5000]


def test_a_late_trade_amends_its_closed_bar() -> None:
    series = _series()
    series.add(_trade(1500, 10, 1))
    series.add(_trade(2500, 10, 2))
    (amended,) = series.add(_trade(1200, 99, 0))
    assert (amended.opening, amended.closed, amended.revision) == (1000, True, 1)
    assert (amended.trades, _prices(amended)) == (2, (99, 99, 10, 10))
    (amended,) = series.add(_trade(1600, 5, 3))
    assert (amended.revision, _prices(amended)) == (2, (99, 99, 5, 5))


def test_a_late_trade_of_a_gap_makes_its_bar() -> None:
    series = _series()
    series.add(_trade(1000))
    series.add(_trade(3000))
    (late,) = series.add(_trade(2000))
    assert (late.opening, late.closed, late.revision) == (2000, True, 1)
    assert [bar.opening for bar in _bars(series)] == [1000, 2000, 3000]


def test_a_trade_of_a_period_that_time_has_closed_is_late_too() -> None:
    series = _series()
    series.advance(5000)
    (late,) = series.add(_trade(4999))
    assert (late.closed, late.revision) == (True, 1)
    (current,) = series.add(_trade(5999))
    assert not current.closed


def test_the_history_is_bounded_and_what_is_too_late_for_it_is_counted() -> None:
    series = _series(history=3)
    for second in range(10):
        series.add(_trade(second * 1000))
    assert [bar.opening for bar in _bars(series)] == [6000, 7000, 8000, 9000]
    assert series.add(_trade(5000)) == ()
    assert series.left_out == 1
    assert len(series.add(_trade(6000))) == 1
    assert series.left_out == 1


def test_a_late_bar_pushes_the_oldest_out() -> None:
    series = _series(history=2)
    for second in (1, 3, 5):
        series.add(_trade(second * 1000))
    series.add(_trade(4000))
    assert [bar.opening for bar in _bars(series)] == [3000, 4000, 5000]


def test_sums_are_exact() -> None:
    series = _series()
    for number in range(10):
        series.add(_trade(0, id_=number, amount="0.1"))
    series.add(_trade(0, id_=11, amount="1000000000000000000"))
    series.add(_trade(0, id_=12, amount="0.000000000000000001"))
    assert series.open is not None
    assert series.open.volume == Decimal("1000000000000000001.000000000000000001")


@settings(max_examples=25)
@given(st.integers(0), st.sampled_from(["1s", "5s", "1m", "1M"]))
def test_shuffled_trades_make_equal_bars(
    recorded_trades: list[Trade], seed: int, resolution: str
) -> None:
    in_order, shuffled = (Series(RESOLUTIONS[resolution], 1000) for _ in range(2))
    for trade in recorded_trades:
        in_order.add(trade)
    for trade in Random(seed).sample(recorded_trades, len(recorded_trades)):  # noqa: S311
        shuffled.add(trade)
    assert _summary(shuffled) == _summary(in_order)


@given(
    st.lists(st.tuples(st.integers(0, 20_000), st.integers(1, 5)), min_size=1, max_size=40),
    st.randoms(use_true_random=False),
    st.integers(1, 5),
)
def test_a_short_history_holds_the_newest_bars_whatever_the_order(
    drawn: list[tuple[int, int]], random: Random, history: int
) -> None:
    trades = [_trade(ms, price, number) for number, (ms, price) in enumerate(drawn)]
    in_order, shuffled = _series(history), _series(history)
    for trade in sorted(trades):
        in_order.add(trade)
    for trade in random.sample(trades, len(trades)):
        shuffled.add(trade)
    assert _summary(shuffled) == _summary(in_order)


@pytest.mark.parametrize(("resolution", "seconds"), [("1s", 1), ("5s", 5), ("1m", 60)])
def test_bars_equal_an_independent_aggregation(
    bundle: Path, recorded_trades: list[Trade], resolution: str, seconds: int
) -> None:
    with duckdb.connect() as connection:
        expected = connection.execute(
            """
            SELECT timestamp_ms // ($seconds * 1000) * ($seconds * 1000) AS opening,
                   arg_min(price, timestamp_ms::HUGEINT * 1000000000000 + id),
                   max(price),
                   min(price),
                   arg_max(price, timestamp_ms::HUGEINT * 1000000000000 + id),
                   sum(amount),
                   count(*)
            FROM read_csv($path, types = {
                timestamp_ms: 'BIGINT', id: 'BIGINT', side: 'VARCHAR',
                price: 'DECIMAL(18, 8)', amount: 'DECIMAL(18, 8)'})
            GROUP BY opening ORDER BY opening
            """,
            {"seconds": seconds, "path": str(bundle)},
        ).fetchall()
    series = Series(RESOLUTIONS[resolution], 1000)
    for trade in recorded_trades:
        series.add(trade)
    assert expected == [
        (b.opening, b.first.price, b.high, b.low, b.last.price, b.volume, b.trades)
        for b in _bars(series)
    ]
