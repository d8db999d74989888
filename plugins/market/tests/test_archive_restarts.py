"""A market that is restarted at any moment goes on as one that never was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import count
from typing import NamedTuple, TypeAlias

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lbproto_market import RESOLUTIONS, Trade
from lbproto_market.backlog import BASE, Backlog
from lbproto_market.bars import Bar
from lbproto_market.duckdb_schema import TABLES
from lbproto_market.duckdb_tables import Tables
from lbproto_market.markets import Market

_VENUES = ("a", "b")
_HOUR = 3_600_000
_START = 40 * 24 * _HOUR
_FOREVER = 1 << 60

Delivery: TypeAlias = Sequence[Trade] | int
"""Trades that come together, or how far time has come."""


class Life(NamedTuple):
    """What a feed delivers, and when a market is stopped or killed."""

    deliveries: list[Delivery]
    commits: set[int]
    """After which deliveries what waits is written."""
    end: int
    """After how many deliveries the market ends for the first time."""
    killed: bool
    earlier: int
    """How many deliveries before what is lost the feed begins again."""
    lateness: float
    history: int


@st.composite
def _lives(draw: st.DrawFn) -> Life:
    deliveries: list[Delivery] = []
    now, ids = _START, {venue: count(draw(st.integers(0, 9))) for venue in _VENUES}
    steps = st.sampled_from([0, 300, 700, 1000, 1900, 6000, 61_000, _HOUR, 30 * _HOUR])
    backs = st.sampled_from([0, 0, 0, 0, 1, 500, 1100, 5000, 70_000, _HOUR])
    for _ in range(draw(st.integers(1, 25))):
        now += draw(steps)
        if draw(st.integers(0, 3)) == 0:
            deliveries.append(now)
            continue
        trades = []
        for venue in draw(st.lists(st.sampled_from(_VENUES), min_size=1, max_size=3)):
            price, amount = draw(st.integers(1, 5)), draw(st.integers(0, 3))
            at = now - draw(backs)
            trades.append(Trade(at, next(ids[venue]), venue, Decimal(price), Decimal(amount)))
        deliveries.append(draw(st.permutations(trades)))
    numbers = st.integers(0, len(deliveries))
    return Life(
        deliveries,
        draw(st.sets(numbers, max_size=6)),
        draw(numbers),
        draw(st.booleans()),
        draw(st.sampled_from([0, 0, 1, 100])),
        draw(st.sampled_from([0.0, 0.0, 1.5])),
        draw(st.sampled_from([3, 8, 1000])),
    )


class Keeper:
    """A market whose changes go to an archive."""

    def __init__(self, symbol: str, tables: Tables, life: Life) -> None:
        self.market = Market(symbol, _VENUES, life.history, lateness=life.lateness)
        self._tables = tables
        self._backlog = Backlog(10_000, 10_000)
        resumption = tables.resume(symbol, life.history)
        self.seen = resumption.seen
        if resumption.bars or resumption.seen:
            self.market.resume(*resumption)

    def take(self, delivery: Delivery) -> None:
        if isinstance(delivery, int):
            changes = self.market.advance(delivery, 0.0)
        else:
            changes = self.market.add(delivery, 0.0)
        market = self.market
        self._backlog.put(market.symbol, market.now_ms, changes.settled, changes.trades)

    def commit(self) -> None:
        self._tables.commit(self._backlog.take())

    def stop(self) -> None:
        market = self.market
        seconds = [settled for settled in market.open() if settled.resolution == BASE]
        self._backlog.put(market.symbol, market.now_ms, seconds, [])
        self.commit()


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tables]:
    path = tmp_path_factory.mktemp("restarts") / "candles.duckdb"
    tables = Tables(str(path), {}, _FOREVER, 256)
    yield tables
    tables.close()


_numbers = count()


def _trade(venue: str, id_: int, after_ms: int) -> Trade:
    return Trade(_START + after_ms, id_, venue, Decimal(1), Decimal(1))


def _late_for_b(deliveries: list[Delivery], after_ms: int, history: int) -> Life:
    """A stop, then a trade of a venue that had none, from before the newest `history` candles."""
    end = len(deliveries)
    return Life([*deliveries, [_trade("b", 0, after_ms)]], set(), end, False, 0, 0.0, history)


@settings(max_examples=50)
@given(life=_lives())
@example(
    _late_for_b(
        [[_trade("a", 0, 0), _trade("a", 1, -1)], [_trade("a", 2, 1000)], _START + 2000], -3000, 3
    )
)
@example(_late_for_b([[_trade("a", n, n * 1000) for n in range(10)]], 500, 8))
def test_a_restart_changes_no_candle(tables: Tables, life: Life) -> None:
    number = next(_numbers)
    never, twice = f"never{number}", f"twice{number}"
    whole = Keeper(never, tables, life)
    for delivery in life.deliveries:
        whole.take(delivery)
    whole.stop()

    first = Keeper(twice, tables, life)
    for index, delivery in enumerate(life.deliveries[: life.end]):
        first.take(delivery)
        if index in life.commits:
            first.commit()
    if not life.killed:
        first.stop()

    second = Keeper(twice, tables, life)
    begin = max(0, _first_lost(life, second) - life.earlier)
    for index, delivery in enumerate(life.deliveries[begin:]):
        second.take(delivery)
        if index in life.commits:
            second.commit()
    second.stop()

    assert second.market.now_ms == whole.market.now_ms
    assert second.market.open() == whole.market.open()
    for level in range(len(RESOLUTIONS)):
        # How far memory reaches back may differ: what it no longer holds is in the archive.
        floor = max(one.market._machine.floor(level) for one in (second, whole))
        assert _closed(second.market, level, floor) == _closed(whole.market, level, floor)
    assert _kept(tables, twice) == _kept(tables, never)


def _first_lost(life: Life, second: Keeper) -> int:
    """The number of the first delivery that has something of which the market does not know."""
    known = {(venue, id_) for venue, seen in second.seen.items() for id_ in seen.ids}
    for index, delivery in enumerate(life.deliveries):
        if isinstance(delivery, int):
            if delivery > second.market.now_ms:
                return index
        elif any((trade.venue, trade.id) not in known for trade in delivery):
            return index
    return len(life.deliveries)


_KEPT = """
    SELECT venue, resolution, {0}.* EXCLUDE (chart) FROM {0} JOIN charts USING (chart)
    WHERE symbol = ? ORDER BY venue, resolution, opening
"""


def _kept(tables: Tables, symbol: str) -> list[tuple[object, ...]]:
    """All that the archive has of a market, at one stroke: there is much to ask."""
    connection = tables.open()
    kept = [connection.execute(_KEPT.format(table), [symbol]).fetchall() for table in TABLES]
    return [row for rows in kept for row in rows]


def _closed(market: Market, level: int, floor: int) -> list[Bar]:
    return list(market._machine.between(level, max(floor, 0), _FOREVER))
