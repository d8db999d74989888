from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from lbproto import Span
from lbproto_market import Candle, MarketChartLiveUpdate, RequestMarketData, Trade
from lbproto_market.charts import TELL_EVERY
from lbproto_market.markets import Market

_VENUES = ("binance", "kraken")


def _trade(timestamp_ms: int, price: int = 10, id_: int = 0, venue: str = "binance") -> Trade:
    return Trade(timestamp_ms, id_, venue, Decimal(price), Decimal(1))


def _market(history: int = 1000) -> Market:
    return Market("ETH-USDT", _VENUES, history)


def _of(updates: list[MarketChartLiveUpdate], resolution: str = "1s") -> list[tuple[object, ...]]:
    return [
        (update.timestamp[17:19], update.closed, update.trades, update.revision)
        for update in updates
        if update.resolution == resolution
    ]


def _newest(market: Market, resolution: str = "1s", count: int = 100) -> list[Candle]:
    return market.charts[resolution].newest(count)


def _answer(market: Market, request: RequestMarketData) -> list[Candle]:
    return market.answer(market.query(request))


def _candle(update: MarketChartLiveUpdate) -> Candle:
    return Candle(
        update.timestamp, update.open, update.high, update.low, update.close, update.volume
    )


def test_an_update_says_everything() -> None:
    changes = _market().add([_trade(1500, 10, 1), _trade(1600, 12, 2)], 0.0)
    assert changes.updates[0] == MarketChartLiveUpdate(
        symbol="ETH-USDT",
        open=10.0,
        high=12.0,
        low=10.0,
        close=12.0,
        volume=2.0,
        timestamp="1970-01-01T00:00:01.000Z",
        resolution="1s",
        closed=False,
        trades=2,
    )
    assert len(changes.updates) == 12


def test_numbers_are_the_floats_nearest_to_the_exact_ones() -> None:
    market = _market()
    amounts = [Decimal("0.1")] * 3 + [Decimal("1E+15")]
    market.add([Trade(0, n, "binance", Decimal("0.1"), a) for n, a in enumerate(amounts)], 0.0)
    (candle,) = _newest(market)
    assert (candle.open, candle.volume) == (0.1, 1000000000000000.3)
    market.advance(1000, 0.0)
    assert _newest(market) == [candle]


def test_the_open_candle_is_told_at_most_every_tenth_of_a_second() -> None:
    market = _market()
    assert len(market.add([_trade(1000, id_=1)], 0.0).updates) == 12
    dues = [market.due]
    assert market.add([_trade(1100, id_=2)], 0.02).updates == []
    assert market.add([_trade(1200, id_=3)], 0.04).updates == []
    dues.append(market.due)
    assert dues == [None, TELL_EVERY]
    assert market.flush(0.09) == []
    assert _of(market.flush(0.1)) == [("01", False, 3, 0)]
    assert market.flush(5.0) == []


def test_a_closed_candle_is_told_at_once_and_in_order() -> None:
    market = _market()
    market.add([_trade(1000, id_=1)], 0.0)
    trades = [_trade(ms, id_=ms) for ms in (1100, 2000, 3000, 3100)]
    told = market.add(trades, 0.01).updates
    assert _of(told) == [("01", True, 2, 0), ("02", True, 1, 0)]
    assert _of(market.advance(4000, 0.02).updates) == [("03", True, 2, 0)]


def test_an_amended_candle_is_told_at_once_with_its_revision() -> None:
    market = _market()
    market.add([_trade(1000, id_=1), _trade(2000, id_=2)], 0.0)
    told = market.add([_trade(1500, 99, 7)], 0.01).updates
    assert _of(told) == [("01", True, 2, 1)]
    assert [candle.close for candle in _newest(market)] == [99.0, 10.0]


def test_the_open_candle_stays_told_when_another_is_amended() -> None:
    market = _market()
    market.add([_trade(2000, id_=1)], 0.0)
    market.add([_trade(1000, id_=2)], 0.01)
    assert [candle.timestamp[17:19] for candle in _newest(market)] == ["01", "02"]


def test_between_two_updates_it_answers_as_told() -> None:
    market = _market()
    market.add([_trade(1000, 10, 1)], 0.0)
    market.add([_trade(1100, 20, 2)], 0.01)
    assert [candle.close for candle in _newest(market)] == [10.0]
    asked = RequestMarketData("ETH-USDT", "1s", window=Span(0, 5000))
    assert _answer(market, asked) == _newest(market)
    market.flush(0.1)
    assert [candle.close for candle in _newest(market)] == [20.0]
    assert _answer(market, asked) == _newest(market)


def test_a_candle_not_told_yet_is_not_answered_either() -> None:
    market = _market()
    market.add([_trade(1000, id_=1)], 0.0)
    market.add([_trade(2000, id_=2)], 0.01)
    assert [candle.timestamp[17:19] for candle in _newest(market)] == ["01"]


def test_a_repeated_trade_is_told_to_nobody() -> None:
    market = _market()
    market.add([_trade(1000, id_=1)], 0.0)
    changes = market.add([_trade(1000, id_=1)], 1.0)
    assert (changes.trades, changes.updates, market.due) == ([], [], None)


_STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("trades"),
            st.lists(
                st.tuples(
                    st.one_of(st.integers(-4000, 3000), st.sampled_from([-90_000, 40_000])),
                    st.integers(1, 9),
                    st.sampled_from(_VENUES),
                ),
                max_size=5,
            ),
        ),
        st.tuples(st.just("advance"), st.sampled_from([0, 1, 999, 3000, 61_000])),
        st.tuples(st.just("wait"), st.floats(0.001, 0.2)),
        st.tuples(st.just("join"), st.sampled_from(["1s", "5s", "1m", "1d"]), st.integers(1, 6)),
    ),
    max_size=60,
)


@settings(deadline=None)
@given(_STEPS, st.integers(1, 8), st.sampled_from([0, 0, 1.5, 7]), st.sampled_from([0, 0, 2, 10]))
def test_snapshot_and_updates_always_make_what_it_answers(
    steps: list[tuple[object, ...]], history: int, lateness: float, fill: int
) -> None:
    market = Market("ETH-USDT", _VENUES, history, lateness=lateness, fill=fill)
    now, event_ms, number = 0.0, 100_000, 0
    clients: list[tuple[str, int, dict[str, Candle]]] = []
    last_told: dict[tuple[str, str], float] = {}
    revisions: dict[tuple[str, str], int] = {}
    for step in steps:
        updates: list[MarketChartLiveUpdate] = []
        match step:
            case ("trades", list(drawn)):
                trades = []
                for offset, price, venue in drawn:
                    number += 1
                    event_ms = max(event_ms, event_ms + offset // 4)
                    trades.append(_trade(event_ms + min(offset, 0), price, number, venue))
                updates = market.add(trades, now).updates
            case ("advance", int(passed)):
                event_ms += passed
                updates = market.advance(event_ms, now).updates
            case ("wait", float(seconds)):
                now += seconds
                updates = market.flush(now)
            case ("join", str(name), int(count)):
                known = {candle.timestamp: candle for candle in _newest(market, name, count)}
                clients.append((name, count, known))
        for update in updates:
            key = (update.resolution, update.timestamp)
            assert update.revision >= revisions.get(key, 0)
            if update.closed:
                revisions[key] = update.revision
            else:
                assert key not in revisions  # what has closed stays closed
                assert now - last_told.get(key, float("-inf")) >= TELL_EVERY - 1e-9
                last_told[key] = now
            for name, _, known in clients:
                if name == update.resolution:
                    known[update.timestamp] = _candle(update)
        for name, count, known in clients:
            assembled = [known[timestamp] for timestamp in sorted(known)]
            answered = _newest(market, name, count)  # a client may remember more than it does
            assert assembled[len(assembled) - len(answered) :] == answered
            window = Span(0, event_ms + 1_000_000)
            asked = RequestMarketData("ETH-USDT", name, window=window)
            assert _answer(market, asked)[-count:] == answered
