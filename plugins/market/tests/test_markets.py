from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbproto import LimitExceeded, NotFound, Span
from lbproto_market import Candle, RequestMarketData, Trade
from lbproto_market.bars import Bar, merged
from lbproto_market.changes import Settled
from lbproto_market.markets import Market, Older, Query
from lbproto_market.windows import MAX_CANDLES

_VENUES = ("binance", "kraken", "coinbase")


def _trade(timestamp_ms: int, price: int, venue: str = "binance", id_: int = 0) -> Trade:
    return Trade(timestamp_ms, id_, venue, Decimal(price), Decimal(1))


def _market() -> Market:
    market = Market("ETH-USDT", _VENUES)
    market.add(
        [
            _trade(1000, 10, "binance", 1),
            _trade(1001, 30, "kraken", 7),
            _trade(1002, 5, "binance", 2),
            _trade(1003, 20, "kraken", 8),
            _trade(2000, 8, "kraken", 9),
        ],
        0.0,
    )
    return market


def _request(*venues: str, resolution: str = "1s", **fields: Any) -> RequestMarketData:
    return RequestMarketData("ETH-USDT", resolution, venues=venues or None, **fields)


def _answer(market: Market, request: RequestMarketData) -> list[Candle]:
    return market.answer(market.query(request))


def _ask(market: Market, *venues: str, **fields: Any) -> list[tuple[float, ...]]:
    candles = _answer(market, _request(*venues, **fields))
    return [(c.open, c.high, c.low, c.close, c.volume) for c in candles]


def test_all_venues_are_put_together() -> None:
    everything = [(10.0, 30.0, 5.0, 20.0, 4.0), (8.0, 8.0, 8.0, 8.0, 1.0)]
    market = _market()
    assert _ask(market) == everything
    assert _ask(market, *_VENUES) == everything
    assert _ask(market, *_VENUES, "kraken", window=Span(0, 5000)) == everything


def test_a_request_may_be_for_some_venues() -> None:
    market = _market()
    assert _ask(market, "binance") == [(10.0, 10.0, 5.0, 5.0, 2.0)]
    assert _ask(market, "kraken") == [(30.0, 30.0, 20.0, 20.0, 2.0), (8.0, 8.0, 8.0, 8.0, 1.0)]
    assert _ask(market, "coinbase") == []
    assert _ask(market, "binance", "kraken") == _ask(market)
    assert _ask(market, "kraken", "binance", window=Span(1000, 2000)) == _ask(market)[:1]
    assert _ask(market, "kraken", resolution="1M") == [(30.0, 30.0, 8.0, 8.0, 3.0)]


def test_the_default_is_the_newest_hundred() -> None:
    market = Market("ETH-USDT", ("binance",))
    market.add([_trade(second * 1000, second + 1, id_=second) for second in range(250)], 0.0)
    assert [candle[0] for candle in _ask(market)] == [float(n) for n in range(151, 251)]


def test_the_default_holds_the_week_in_which_time_began() -> None:
    assert len(_ask(_market(), resolution="1w")) == 1
    assert len(_ask(_market(), "kraken", resolution="1w")) == 1


def test_a_window_holds_at_most_a_thousand() -> None:
    market = Market("ETH-USDT", ("binance",), history=2000)
    trades = [_trade(second * 1000, second, id_=second) for second in range(9000, 10_001)]
    market.add(trades, 0.0)
    assert len(_ask(market, window=Span(0, 10_000_000))) == 1000
    assert len(_ask(market, window="PT1000S")) == 1000
    with pytest.raises(LimitExceeded, match="holds more than 1,000 candles of 1s, which is the"):
        _ask(market, window="PT1001S")


def test_what_does_not_exist_is_refused_naming_what_does() -> None:
    market = _market()
    with pytest.raises(NotFound, match=r"no venue 'mtgox'; there are: binance, coinbase, kraken"):
        _ask(market, "kraken", "mtgox")
    with pytest.raises(NotFound, match=r"no resolution '2m'; there are: 1s"):
        _ask(market, resolution="2m")


def test_what_came_of_trades() -> None:
    market = Market("ETH-USDT", ("binance",), history=1)
    trades = [_trade(second * 1000, second, id_=second) for second in range(3)]
    market.add(trades, 0.0)
    late, far = _trade(500, 9, id_=7), _trade(99_000, 9, id_=8)
    changes = market.add([trades[1], late, far], 0.0, 3000)
    assert changes[:2] == ("ETH-USDT", [late])
    assert (changes.left_out, changes.skewed) == (1, 1)
    assert changes.settled == []
    changes = market.advance(3000, 0.0)
    ((venue, resolution, bar),) = changes.settled
    assert (venue, resolution, bar.opening, bar.trades) == ("binance", "1s", 2000, 1)


class Archive:
    """What it is to do, without a disk: everything that was settled, the newest state of each."""

    def __init__(self) -> None:
        self._bars: dict[tuple[str, str, int], Bar] = {}
        self.asked = 0

    def write(self, settled: list[Settled]) -> None:
        for venue, resolution, bar in settled:
            self._bars[venue, resolution, bar.opening] = bar

    def read(self, query: Query, begin_ms: int, end_ms: int, limit: int) -> list[Bar]:
        self.asked += 1
        assert 0 < limit <= MAX_CANDLES + 1
        together: dict[int, Bar] = {}
        for (venue, name, at), bar in self._bars.items():
            if venue in query.venues and name == query.cut.name and begin_ms <= at < end_ms:
                together[at] = merged(together[at], bar) if at in together else bar
        return [together[at] for at in sorted(together)][-limit:]

    def answer(self, market: Market, query: Query, trades: list[Trade]) -> list[Candle]:
        """Ask it and the market, while trades come in between."""
        older = None
        while (missing := market.missing(query, older)) is not None:
            older = Older(missing, self.read(query, *missing))
            self.write(market.add([trades.pop()] if trades else [], 0.0).settled)
        return market.answer(query, older)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 40_000), st.integers(1, 99), st.sampled_from(_VENUES[:2])),
        min_size=10,
        max_size=60,
    ),
    st.integers(1, 6),
    st.integers(0, 9),
    st.sampled_from(["1s", "5s", "1m"]),
    st.sampled_from([_VENUES[:2], _VENUES[:1], _VENUES[1:2]]),
    st.sampled_from([None, Span(0, 50_000), Span(7500, 20_000), Span(12_000, 12_001), "PT20S"]),
    st.sampled_from([0, 0, 4, 100]),
)
def test_memory_and_archive_are_one_without_gap_or_overlap(
    drawn: list[tuple[int, int, str]],
    history: int,
    while_asking: int,
    resolution: str,
    venues: tuple[str, ...],
    window: Span | str | None,
    fill: int,
) -> None:
    trades = [
        _trade(ms, price, venue, number) for number, (ms, price, venue) in enumerate(sorted(drawn))
    ]
    short = Market("ETH-USDT", _VENUES[:2], history, fill=fill)
    long = Market("ETH-USDT", _VENUES[:2], fill=fill)
    archive = Archive()
    before = max(1, len(trades) - while_asking)
    trades, coming = trades[:before], trades[before:]
    archive.write(short.add(trades, 0.0).settled)
    long.add(trades, 0.0)
    request = _request(*venues, resolution=resolution, window=window)
    waiting = coming[::-1]
    answered = archive.answer(short, short.query(request), waiting)
    query = long.query(request)
    long.add(coming[: len(coming) - len(waiting)], 0.0)
    assert answered == long.answer(query)


def test_an_archive_is_not_asked_for_what_memory_holds() -> None:
    market = Market("ETH-USDT", ("binance",), history=150)
    market.add([_trade(second * 1000, 9, id_=second) for second in range(500)], 0.0)
    for fields in ({}, {"window": "PT2M"}, {"resolution": "1m", "window": Span(0, 1000)}):
        assert market.missing(market.query(_request(**fields))) is None
    assert market.missing(market.query(_request(window=Span(349_000, 400_000)))) is None
    missing = market.missing(market.query(_request(window=Span(300_000, 400_000))))
    assert missing is not None
    assert (missing.begin_ms, missing.limit) == (300_000, 1001)
    assert len(_ask(market, window=Span(missing.end_ms, 499_000))) in range(150, 169)
    assert _ask(market, window=Span(0, missing.end_ms)) == []


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 90_000), st.integers(1, 99), st.sampled_from(_VENUES)),
        min_size=1,
        max_size=60,
    ),
    st.integers(0, 60),
    st.integers(0, 20),
    st.sampled_from([0, 0.5, 7]),
    st.sampled_from([0, 3]),
)
def test_a_market_resumes_where_it_left_off(
    drawn: list[tuple[int, int, str]], until: int, again: int, lateness: float, fill: int
) -> None:
    trades = [
        _trade(ms, price, venue, number) for number, (ms, price, venue) in enumerate(sorted(drawn))
    ]
    one, other = (Market("ETH-USDT", _VENUES, lateness=lateness, fill=fill) for _ in range(2))
    archive: dict[tuple[str, str, int], Settled] = {}
    for settled in one.add(trades[:until], 0.0).settled:
        archive[settled.venue, settled.resolution, settled.bar.opening] = settled
    for settled in one.open():
        archive[settled.venue, settled.resolution, settled.bar.opening] = settled
    seen = {
        venue: (0, [trade.id for trade in trades[:until] if trade.venue == venue])
        for venue in _VENUES
    }
    other.resume(one.now_ms, list(archive.values()), seen)
    rest = trades[max(0, until - again) :]
    first, second = one.add(rest, 1.0), other.add(rest, 1.0)
    assert first.trades == second.trades
    assert first.settled == second.settled
    for resolution in ("1s", "5s", "15s", "1m", "1h", "1w", "1M"):
        for venues in (_VENUES[:1], _VENUES[:2]):
            request = _request(*venues, resolution=resolution)
            assert _answer(one, request) == _answer(other, request)
