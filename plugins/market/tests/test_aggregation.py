"""Every resolution against an independent aggregation: what candles are, from their definition."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from pathlib import Path
from random import Random
from typing import NamedTuple, TypeVar

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbproto_market import RESOLUTIONS, Trade
from lbproto_market.bars import Bar
from lbproto_market.machine import Machine

VENUES = ("binance", "kraken", "coinbase")
HOUR, DAY = 3_600_000, 86_400_000


class Expected(NamedTuple):
    opening: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    trades: int


_SECONDS = {
    "1s": 1, "5s": 5, "15s": 15, "1m": 60, "5m": 300, "15m": 900, "30m": 1800,
    "1h": 3600, "4h": 14400, "1d": 86400,
}  # fmt: skip
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _opens_at(timestamp_ms: int, resolution: str) -> int:
    """When the candle opens that a trade of this moment belongs to."""
    if resolution in _SECONDS:
        length = _SECONDS[resolution] * 1000
        return timestamp_ms // length * length
    day = (_EPOCH + timedelta(milliseconds=timestamp_ms)).date()
    first = day.replace(day=1) if resolution == "1M" else day - timedelta(days=day.weekday())
    return (first - _EPOCH.date()).days * 86_400_000


def _candles_of(
    trades: Iterable[Trade], resolution: str, venues: Collection[str] | None = None
) -> list[Expected]:
    """The candles of these trades, each counted once."""
    periods: dict[int, list[Trade]] = defaultdict(list)
    for trade in {(trade.venue, trade.id): trade for trade in trades}.values():
        if venues is None or trade.venue in venues:
            periods[_opens_at(trade.timestamp_ms, resolution)].append(trade)
    return [_candle(opening, periods[opening]) for opening in sorted(periods)]


def _candle(opening: int, trades: list[Trade]) -> Expected:
    trades.sort(key=lambda trade: (trade.timestamp_ms, trade.id, trade.venue))
    prices = [trade.price for trade in trades]
    with localcontext(prec=100):
        volume = sum((trade.amount for trade in trades), Decimal(0))
    return Expected(opening, prices[0], max(prices), min(prices), prices[-1], volume, len(trades))


def _seen(bars: Collection[Bar]) -> list[Expected]:
    return [
        Expected(b.opening, b.first.price, b.high, b.low, b.last.price, b.volume, b.trades)
        for b in bars
    ]


def _bars(machine: Machine, resolution: str, venues: Collection[str] | None = None) -> list[Bar]:
    """All of them, the open ones last."""
    level = [level.cut.name for level in machine.plan].index(resolution)
    return [*machine.between(level, -1 << 60, 1 << 60, venues), *machine.open(venues)[level]]


@pytest.mark.parametrize("lateness", [0, 30_000])
@settings(max_examples=5, deadline=None)
@given(st.integers(0))
def test_recorded_trades_shuffled_and_repeated(
    recorded_trades: list[Trade], lateness: int, seed: int
) -> None:
    random = Random(seed)  # noqa: S311 - a test's
    trades = random.sample(recorded_trades * 2, 2 * len(recorded_trades))
    machine = Machine(("binance",), lateness_ms=lateness)
    while trades:
        machine.add(trades[: (size := random.randint(1, 500))])
        del trades[:size]
    for name in RESOLUTIONS:
        assert _seen(_bars(machine, name)) == _candles_of(recorded_trades, name)


@pytest.mark.parametrize(("name", "seconds"), [("1s", 1), ("5s", 5), ("1m", 60), ("1d", 86_400)])
def test_bars_equal_an_aggregation_by_a_database(
    bundle: Path, recorded_trades: list[Trade], name: str, seconds: int
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
    machine = Machine(("binance",))
    machine.add(recorded_trades)
    assert _seen(_bars(machine, name)) == expected


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


# Where periods of several lengths end at once, or do not: weeks across years, leap days, and where
# clocks are changed elsewhere.
_BOUNDARIES = [
    _ms(day)
    for day in (
        "1970-01-01", "1999-12-27", "2000-01-01", "2000-03-01", "2023-02-27", "2024-02-29",
        "2024-03-01", "2024-03-31", "2024-10-27", "2024-12-30", "2025-01-01", "2025-03-01",
    )
]  # fmt: skip

_Opens = TypeVar("_Opens", Bar, Expected)


def _since(floor: int, bars: Iterable[_Opens]) -> list[_Opens]:
    return sorted((bar for bar in bars if bar.opening >= floor), key=lambda bar: bar.opening)


_TRADES = st.lists(
    st.builds(
        lambda near, off, price, amount, venue: (max(0, near + off), price, amount, venue),
        st.sampled_from(_BOUNDARIES),
        st.one_of(
            st.integers(-3, 3),
            st.integers(-70_000, 70_000),
            st.integers(-DAY, DAY),
            st.integers(-40 * DAY, 40 * DAY),
        ),
        st.decimals("0.00000001", "99999", places=8),
        st.decimals("0", "1000000", places=18),
        st.sampled_from(VENUES),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(
    _TRADES,
    st.randoms(use_true_random=False),
    st.sampled_from([0, 0, 1, 5000, HOUR, 10 * DAY]),
    st.lists(st.sampled_from(VENUES), min_size=1, max_size=3, unique=True),
    st.sampled_from([1000, 1000, 1, 3, 9]),
)
def test_every_resolution_is_right_at_every_moment(
    drawn: list[tuple[int, Decimal, Decimal, str]],
    random: Random,
    lateness: int,
    some: list[str],
    history: int,
) -> None:
    trades = [
        Trade(ms, number, venue, price, amount)
        for number, (ms, price, amount, venue) in enumerate(sorted(drawn, key=lambda row: row[0]))
    ]
    coming = random.sample(trades * 2, 2 * len(trades))
    if random.random() < 0.5:  # mostly in order of time
        coming.sort(key=lambda trade: -trade.timestamp_ms + random.randint(0, 10_000))
    machine = Machine(VENUES, lateness_ms=lateness, history=history)
    told: dict[str, dict[int, Bar]] = {name: {} for name in RESOLUTIONS}
    kept: dict[tuple[str, str], dict[int, Bar]] = {}
    so_far: list[Trade] = []
    while coming:
        batch = [coming.pop() for _ in range(min(len(coming), random.randint(1, 15)))]
        outcome = machine.add(batch)
        assert outcome.trades == [
            trade for n, trade in enumerate(batch) if trade not in so_far + batch[:n]
        ]
        so_far += outcome.trades
        if random.random() < 0.2:
            later = machine.advance(machine.now_ms + random.choice([1, 999, HOUR, DAY]))
            outcome.candles += later.candles
            outcome.settled += later.settled
        for cut, bar in outcome.candles:
            assert bar.closed
            before = told[cut.name].get(bar.opening)
            assert bar.revision == (0 if before is None else before.revision + 1) or (
                before is None and bar.revision == 1  # of a gap
            )
            told[cut.name][bar.opening] = bar
        for venue, name, bar in outcome.settled:
            kept.setdefault((venue, name), {})[bar.opening] = bar
        assert history < 1000 or outcome.left_out == 0
        for level, name in enumerate(RESOLUTIONS):
            floor = machine.floor(level)  # what is held of a time is whole
            bars = _bars(machine, name)
            assert _seen(bars) == _since(floor, _candles_of(so_far, name))
            assert [bar for bar in bars if bar.closed] == _since(floor, told[name].values())
            assert _seen(_bars(machine, name, some)) == _since(
                floor, _candles_of(so_far, name, some)
            )
            for venue in VENUES:
                closed = [bar for bar in _bars(machine, name, [venue]) if bar.closed]
                assert closed == _since(floor, kept.get((venue, name), {}).values())
                assert len(closed) <= history + history // 8


@given(
    st.lists(st.tuples(st.integers(0, 20_000), st.integers(1, 5)), min_size=1, max_size=40),
    st.randoms(use_true_random=False),
    st.integers(1, 5),
)
def test_a_short_history_holds_the_newest_bars_whatever_the_order(
    drawn: list[tuple[int, int]], random: Random, history: int
) -> None:
    trades = [
        Trade(ms, number, "binance", Decimal(price), Decimal(1))
        for number, (ms, price) in enumerate(sorted(drawn))
    ]
    machine = Machine(VENUES, [RESOLUTIONS["1s"]], history=history)
    for trade in random.sample(trades, len(trades)):
        machine.add([trade])
    assert _seen(_bars(machine, "1s")) == _candles_of(trades, "1s")[-history - 1 :]
