from __future__ import annotations

import tracemalloc
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from lbproto_market.bars import Bar, Mark
from lbproto_market.history import History


def _bar(opening: int, *prices: Decimal, volume: Decimal = Decimal(1), revision: int = 0) -> Bar:
    first, last, high, low = prices
    return Bar(
        opening,
        Mark(opening + 5, 7, "binance", first),
        Mark(opening + 900, (1 << 63) - 1, "binance", last),
        high,
        low,
        volume,
        trades=3,
        closed=True,
        revision=revision,
    )


_PRICES = st.one_of(
    st.decimals("0.01", "99999", places=2),
    st.decimals("1e-18", "1", places=18),
    st.decimals("1", "1e18", places=18),
    st.sampled_from([Decimal("1E+18"), Decimal("0.000000000000000001")]),
)
_VOLUMES = st.one_of(
    st.decimals("0", "100", places=3),
    st.sampled_from([Decimal("123456789012345678901234.123456789012345678"), Decimal(0)]),
)
_BARS = st.builds(
    lambda at, prices, volume, revision: _bar(at * 1000, *prices, volume=volume, revision=revision),
    st.integers(0, 30),
    st.tuples(_PRICES, _PRICES, _PRICES, _PRICES),
    _VOLUMES,
    st.integers(0, 3),
)


@given(st.lists(st.one_of(_BARS, st.integers(-1, 31)), max_size=40))
def test_what_is_put_in_comes_out_exactly(steps: list[Bar | int]) -> None:
    history = History("binance")
    held: dict[int, Bar] = {}
    for step in steps:
        if isinstance(step, int):
            history.drop_before(step * 1000)
            held = {opening: bar for opening, bar in held.items() if opening >= step * 1000}
        else:
            history.put(step)
            held[step.opening] = step
        bars = [held[opening] for opening in sorted(held)]
        assert len(history) == len(bars)
        assert list(history.between(-1, 1 << 60)) == bars
        assert list(history.between(5000, 9000)) == [
            bar for bar in bars if 5000 <= bar.opening < 9000
        ]
        assert list(history.newest(3, 9000)) == [bar for bar in bars if bar.opening < 9000][-3:]
        for opening in (0, 5000, 5001):
            assert history.find(opening) == held.get(opening)
        if bars:
            assert history.since(len(bars)) == bars[0].opening


def test_a_bar_takes_a_hundred_bytes() -> None:
    tracemalloc.start()
    try:
        history = History("binance")
        before, _ = tracemalloc.get_traced_memory()
        for number in range(10_000):
            price = Decimal(1646 + number % 7)  # few, as those used last are remembered
            history.put(_bar(number * 1000, price, price, price, price))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 96 <= (after - before) / 10_000 < 110  # arrays grow ahead
