from __future__ import annotations

from decimal import Decimal

from lbproto_market.backlog import Backlog, Batch, Key
from lbproto_market.bars import Bar, Mark
from lbproto_market.changes import Settled
from lbproto_market.trades import Trade


def _settled(second: int, *, revision: int = 0, closed: bool = True, venue: str = "v") -> Settled:
    opening, price = second * 1000, Decimal(7)
    mark = Mark(opening, second, venue, price)
    bar = Bar(opening, mark, mark, price, price, Decimal(1), 1, closed, revision)
    return Settled(venue, "1s", bar)


def _trade(second: int, id_: int, venue: str = "v") -> Trade:
    return Trade(second * 1000 + 1, id_, venue, Decimal(7), Decimal(1))


def _seconds(batch: Batch) -> list[int]:
    return [key.opening // 1000 for key in batch.bars]


def test_only_the_newest_state_of_a_candle_waits() -> None:
    backlog = Backlog(10, 10)
    backlog.put("X", 2000, [_settled(0), _settled(1)], [])
    backlog.put("X", 3000, [_settled(0, revision=1)], [])
    assert len(backlog) == 2
    batch = backlog.take()
    assert batch.moments == {"X": 3000}
    assert [(key.opening, bar.revision) for key, bar in batch.bars.items()] == [(1000, 0), (0, 1)]
    assert not backlog.take().bars


def test_a_trade_waits_until_its_second_has_closed() -> None:
    backlog = Backlog(10, 10)
    backlog.put("X", 1000, [_settled(0)], [_trade(0, 1), _trade(1, 2), _trade(1, 3, "w")])
    assert backlog.take().ids == {("X", "v", 0): [1]}
    backlog.put("X", 2000, [], [_trade(1, 4)])  # time went on, the second is held open for others
    assert backlog.take().ids == {}
    backlog.put("X", 3000, [_settled(1), _settled(1, venue="w")], [])
    assert backlog.take().ids == {("X", "v", 1000): [2, 4], ("X", "w", 1000): [3]}


def test_a_late_trade_does_not_wait_even_if_no_second_reaches_back_to_it() -> None:
    backlog = Backlog(10, 10)
    backlog.put("X", 9000, [_settled(8)], [_trade(8, 1), _trade(2, 2)])
    assert backlog.take().ids == {("X", "v", 8000): [1], ("X", "v", 2000): [2]}


def test_a_trade_goes_with_a_second_that_is_written_open() -> None:
    backlog = Backlog(10, 10)
    backlog.put("X", 5500, [_settled(5, closed=False)], [_trade(5, 1), _trade(5, 2, "w")])
    assert backlog.take().ids == {("X", "v", 5000): [1]}


def test_what_could_not_be_written_waits_again_under_what_is_newer() -> None:
    backlog = Backlog(10, 10)
    backlog.put("X", 2000, [_settled(0), _settled(1)], [_trade(0, 1), _trade(1, 2)])
    failed = backlog.take()
    backlog.put("X", 3000, [_settled(1, revision=1)], [_trade(1, 3)])
    backlog.put_back(failed)
    batch = backlog.take()
    assert [(key.opening, bar.revision) for key, bar in batch.bars.items()] == [(0, 0), (1000, 1)]
    assert batch.ids == {("X", "v", 0): [1], ("X", "v", 1000): [2, 3]}
    assert failed.ids == {("X", "v", 0): [1], ("X", "v", 1000): [2]}


def test_it_is_empty_when_all_that_is_known_was_taken() -> None:
    backlog = Backlog(10, 10)
    assert backlog.is_empty()
    backlog.put("X", 5, [], [])
    assert not backlog.is_empty()
    batch = backlog.take()
    assert backlog.is_empty()
    backlog.put("X", 5, [], [])
    assert backlog.is_empty()
    backlog.put_back(batch)
    assert not backlog.is_empty()


def test_of_too_many_candles_the_oldest_are_lost_and_counted() -> None:
    backlog = Backlog(3, 10)
    backlog.put("X", 5000, [_settled(second) for second in range(5)], [])
    assert (backlog.lost, len(backlog)) == (2, 3)
    batch = backlog.take()
    assert _seconds(batch) == [2, 3, 4]
    backlog.put("X", 7000, [_settled(5), _settled(6)], [])
    backlog.put_back(batch)
    assert backlog.lost == 4
    assert _seconds(backlog.take()) == [4, 5, 6]


def test_of_too_many_trades_the_oldest_seconds_are_lost_with_their_candles() -> None:
    backlog = Backlog(10, 3)
    backlog.put("X", 1000, [_settled(0)], [_trade(0, 1), _trade(0, 2)])
    backlog.put("X", 2000, [_settled(1)], [_trade(1, 3), _trade(1, 4)])
    assert backlog.lost == 1
    batch = backlog.take()
    assert batch.ids == {("X", "v", 1000): [3, 4]}
    assert _seconds(batch) == [1]


def test_a_reader_is_told_whether_what_it_asks_for_waits() -> None:
    backlog = Backlog(10, 10)
    backlog.put("X", 2000, [_settled(1)], [])
    assert backlog.holds("X", 1000, 1001)
    assert not backlog.holds("X", 1001, 9000)
    assert not backlog.holds("X", 0, 1000)
    assert not backlog.holds("Y", 0, 9000)
    assert Key("X", "v", "1s", 1000) in backlog.take().bars
