from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from lbproto_market import RESOLUTIONS, Candle, MarketChartLiveUpdate, Trade
from lbproto_market.charts import TELL_EVERY, Chart


def _trade(timestamp_ms: int, price: int = 10, id_: int = 0) -> Trade:
    return Trade(timestamp_ms, id_, "venue", Decimal(price), Decimal(1))


def _chart(history: int = 1000) -> Chart:
    return Chart("ETH-USDT", RESOLUTIONS["1s"], history)


def _candle(update: MarketChartLiveUpdate) -> Candle:
    return Candle(
        update.timestamp, update.open, update.high, update.low, update.close, update.volume
    )


def test_an_update_says_everything() -> None:
    (update,) = _chart().add([_trade(1500, 10, 1), _trade(1600, 12, 2)], 0.0)
    assert update == MarketChartLiveUpdate(
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


def test_the_open_candle_is_told_at_most_every_tenth_of_a_second() -> None:
    chart = _chart()
    assert len(chart.add([_trade(1000)], 0.0)) == 1
    dues = [chart.due]
    assert chart.add([_trade(1100)], 0.02) == []
    assert chart.add([_trade(1200)], 0.04) == []
    dues.append(chart.due)
    assert dues == [None, TELL_EVERY]
    assert chart.flush(0.09) is None
    told = chart.flush(0.1)
    assert told is not None
    assert told.trades == 3
    assert chart.flush(5.0) is None


def test_a_closed_candle_is_told_at_once_and_in_order() -> None:
    chart = _chart()
    chart.add([_trade(1000)], 0.0)
    told = chart.add([_trade(1100), _trade(2000), _trade(3000), _trade(3100)], 0.01)
    assert [(update.timestamp[17:19], update.closed, update.trades) for update in told] == [
        ("01", True, 2),
        ("02", True, 1),
    ]
    (update,) = chart.advance(4000, 0.02)
    assert (update.timestamp[17:19], update.closed, update.trades) == ("03", True, 2)
    assert chart.due is None


def test_an_amended_candle_is_told_at_once_with_its_revision() -> None:
    chart = _chart()
    chart.add([_trade(1000), _trade(2000)], 0.0)
    (update,) = chart.add([_trade(1500, 99, 7)], 0.01)
    assert (update.closed, update.revision, update.close, update.trades) == (True, 1, 99.0, 2)


def test_the_open_candle_stays_told_when_another_is_amended() -> None:
    chart = _chart()
    chart.add([_trade(2000)], 0.0)
    chart.add([_trade(1000)], 0.01)
    assert [candle.timestamp[17:19] for candle in chart.newest(100)] == ["01", "02"]


def test_between_two_updates_it_answers_as_told() -> None:
    chart = _chart()
    chart.add([_trade(1000, 10)], 0.0)
    chart.add([_trade(1100, 20, 1)], 0.01)
    assert [candle.close for candle in chart.newest(100)] == [10.0]
    assert chart.between(0, 5000) == chart.newest(100)
    chart.flush(0.1)
    assert [candle.close for candle in chart.newest(100)] == [20.0]


def test_a_candle_not_told_yet_is_not_answered_either() -> None:
    chart = _chart()
    chart.add([_trade(1000)], 0.0)
    chart.add([_trade(2000)], 0.01)
    assert [candle.timestamp[17:19] for candle in chart.newest(100)] == ["01"]
    assert [candle.timestamp[17:19] for candle in chart.between(0, 5000)] == ["01"]


_STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("trades"),
            st.lists(st.tuples(st.integers(-4000, 3000), st.integers(1, 9)), max_size=5),
        ),
        st.tuples(st.just("advance"), st.integers(0, 3000)),
        st.tuples(st.just("wait"), st.floats(0.001, 0.2)),
        st.tuples(st.just("join"), st.integers(1, 6)),
    ),
    max_size=60,
)


@given(_STEPS, st.integers(1, 8))
def test_snapshot_and_updates_always_make_what_it_answers(
    steps: list[tuple[str, object]], history: int
) -> None:
    chart = _chart(history)
    now, event_ms, number = 0.0, 10_000, 0
    clients: list[tuple[int, dict[str, Candle]]] = []
    last_open_told = float("-inf")
    for kind, value in steps:
        updates: list[MarketChartLiveUpdate] = []
        if kind == "trades":
            assert isinstance(value, list)
            trades = []
            for offset, price in value:
                number += 1
                event_ms = max(event_ms, event_ms + offset // 4)
                trades.append(_trade(event_ms + min(offset, 0), price, number))
            updates = chart.add(trades, now)
        elif kind == "advance":
            assert isinstance(value, int)
            event_ms += value
            updates = chart.advance(event_ms, now)
        elif kind == "wait":
            assert isinstance(value, float)
            now += value
            update = chart.flush(now)
            updates = [] if update is None else [update]
        else:
            assert isinstance(value, int)
            clients.append((value, {candle.timestamp: candle for candle in chart.newest(value)}))
        for update in updates:
            if not update.closed:
                assert now - last_open_told >= TELL_EVERY - 1e-9
                last_open_told = now
            for _, known in clients:
                known[update.timestamp] = _candle(update)
        for count, known in clients:
            assembled = [known[timestamp] for timestamp in sorted(known)]
            answered = chart.newest(count)  # a client may remember more than a short history
            assert assembled[len(assembled) - len(answered) :] == answered
            assert chart.between(0, 1 << 60)[-count:] == answered
