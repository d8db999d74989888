from __future__ import annotations

from decimal import Decimal

import pytest

from lbproto import LimitExceeded, NotFound
from lbproto_market import RequestMarketData, Span, Trade
from lbproto_market.markets import Markets

_VENUES = ("binance", "kraken", "coinbase")


def _trade(timestamp_ms: int, price: int, venue: str, id_: int = 0) -> Trade:
    return Trade(timestamp_ms, id_, venue, Decimal(price), Decimal(1))


def _markets() -> Markets:
    markets = Markets(("ETH-USDT", "BTC-USDT"), _VENUES, history=1000)
    markets["ETH-USDT"].add(
        [
            _trade(1000, 10, "binance", 1),
            _trade(1001, 30, "kraken", 7),
            _trade(1002, 5, "binance", 2),
            _trade(1003, 20, "kraken", 8),
            _trade(2000, 8, "kraken", 9),
        ],
        0.0,
    )
    return markets


def _ask(markets: Markets, *venues: str, **fields: object) -> list[tuple[float, ...]]:
    request = RequestMarketData("ETH-USDT", "1s", venues=venues or None, **fields)  # type: ignore[arg-type]
    return [
        (c.open, c.high, c.low, c.close, c.volume) for c in markets["ETH-USDT"].candles(request)
    ]


def test_all_venues_are_put_together() -> None:
    everything = [(10.0, 30.0, 5.0, 20.0, 4.0), (8.0, 8.0, 8.0, 8.0, 1.0)]
    markets = _markets()
    assert _ask(markets) == everything
    assert _ask(markets, *_VENUES) == everything
    assert _ask(markets, *_VENUES, "kraken", window=Span(0, 5000)) == everything


def test_a_request_may_be_for_some_venues() -> None:
    markets = _markets()
    assert _ask(markets, "binance") == [(10.0, 10.0, 5.0, 5.0, 2.0)]
    assert _ask(markets, "kraken") == [(30.0, 30.0, 20.0, 20.0, 2.0), (8.0, 8.0, 8.0, 8.0, 1.0)]
    assert _ask(markets, "coinbase") == []
    assert _ask(markets, "binance", "kraken") == _ask(markets)
    assert _ask(markets, "kraken", "binance", window=Span(1000, 2000)) == _ask(markets)[:1]


def test_a_venues_bars_close_with_time_too() -> None:
    markets = _markets()
    markets.advance(10_000, 1.0)
    bars = markets["ETH-USDT"]._venues["kraken"]["1s"].bars(0, 10_000)
    assert [bar.closed for bar in bars] == [True, True]


def test_the_default_is_the_newest_hundred() -> None:
    markets = Markets(("ETH-USDT",), ("binance",), history=1000)
    trades = [_trade(second * 1000, second + 1, "binance") for second in range(250)]
    markets["ETH-USDT"].add(trades, 0.0)
    assert [candle[0] for candle in _ask(markets)] == [float(n) for n in range(151, 251)]


def test_a_window_holds_at_most_a_thousand() -> None:
    markets = Markets(("ETH-USDT",), ("binance",), history=2000)
    trades = [_trade(second * 1000, second, "binance") for second in range(9000, 10_001)]
    markets["ETH-USDT"].add(trades, 0.0)
    assert len(_ask(markets, window=Span(0, 10_000_000))) == 1000
    assert len(_ask(markets, window="PT1000S")) == 1000
    with pytest.raises(LimitExceeded, match="holds 1,001 candles of 1s, at most 1,000 are sent"):
        _ask(markets, window="PT1001S")


def test_what_does_not_exist_is_refused_naming_what_does() -> None:
    markets = _markets()
    with pytest.raises(NotFound, match=r"no symbol 'DOGE-USDT'; there are: BTC-USDT, ETH-USDT"):
        markets["DOGE-USDT"]
    with pytest.raises(NotFound, match=r"no venue 'mtgox'; there are: binance, coinbase, kraken"):
        _ask(markets, "kraken", "mtgox")
    with pytest.raises(NotFound, match=r"no resolution '2m'; there are: 1s"):
        markets["ETH-USDT"].candles(RequestMarketData("ETH-USDT", "2m"))


def test_a_refusal_does_not_list_hundreds() -> None:
    markets = Markets([f"COIN{number:03}" for number in range(45)], ("binance",), 1)
    with pytest.raises(NotFound, match=r"COIN019 and 25 more$"):
        markets["COIN999"]


@pytest.mark.parametrize("symbol", ["", "ETH:USDT"])
def test_a_symbol_must_fit_into_a_rooms_name(symbol: str) -> None:
    with pytest.raises(ValueError, match="colon"):
        Markets((symbol,), ("binance",), 1)


def test_a_history_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Markets(("ETH-USDT",), ("binance",), 0)


def test_what_is_due_next() -> None:
    markets = _markets()
    dues = [markets.due]
    markets["ETH-USDT"].add([_trade(2500, 9, "binance", 3)], 0.03)
    dues.append(markets.due)
    assert markets.flush(0.09) == []
    assert len(markets.flush(0.1)) == 12
    dues.append(markets.due)
    assert dues == [None, 0.1, None]
