"""Which symbols there are, and their trades one by one."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from lbproto import drop_oldest
from lbproto.messages import Subscribe, Subscribed, ValidationError
from lbproto.testing import Client, Serve, VirtualClock, connect
from lbproto_market import (
    MarketSymbols,
    MarketSymbolsResponse,
    MarketTrade,
    Trade,
    market,
)

if TYPE_CHECKING:
    from conftest import HandFeed

pytestmark = pytest.mark.anyio

ETH, BTC = "ETH-USDT", "BTC-USDT"
LINGER = 30.0


async def _join(client: Client, room: str) -> None:
    await client.request(Subscribe(room=room), Subscribed)


async def test_the_symbols_are_listed(
    clock: VirtualClock, serve: Serve, new_feed: type[HandFeed]
) -> None:
    one = new_feed([f"S{number:02}" for number in range(10)], ["binance"])
    two = new_feed(["S03", "T"], ["kraken"])
    async with serve(market(one, two)) as server, connect(server, "ada") as client:
        await _join(client, "market:S03")
        pages: list[MarketSymbolsResponse] = []
        cursor: str | None = None
        while not pages or cursor is not None:
            request = MarketSymbols(limit=4, cursor=cursor)
            page = await client.request(request, MarketSymbolsResponse)
            cursor = page.next_cursor
            pages.append(page)
        assert [len(page.symbols) for page in pages] == [4, 4, 3]
        assert client.transcript[-2].data["nextCursor"] is None
        assert pages[0].label == "by hand; by hand"
        assert pages[0].resolutions[:2] == ["1s", "5s"]
        listed = {symbol.symbol: symbol for page in pages for symbol in page.symbols}
        assert list(listed) == sorted({*one.symbols, *two.symbols})
        assert listed["S03"].venues == ["binance", "kraken"]
        assert [symbol for symbol in listed if listed[symbol].live] == ["S03"]


@pytest.mark.parametrize("data", [{"limit": 0}, {"limit": 501}, {"cursor": "x" * 65}])
async def test_a_list_has_bounds(client: Client, data: dict[str, object]) -> None:
    refusal = await client.request({"event": "market_symbols", "data": data}, ValidationError)
    assert refusal.code == "INVALID_REQUEST"


async def test_each_trade_is_told_in_its_room(
    clock: VirtualClock, feed: HandFeed, client: Client
) -> None:
    await _join(client, f"market_trades:{ETH}")
    await client.expect_nothing()
    feed.sink.add([Trade(1500, 7, "kraken", Decimal("0.10"), Decimal("1E-8"), "buy")])
    await client.expect(MarketTrade)
    assert client.transcript[-1].data == {
        "symbol": ETH,
        "venue": "kraken",
        "id": "7",
        "price": "0.10",
        "amount": "0.00000001",
        "timestamp": "1970-01-01T00:00:01.500Z",
        "side": "buy",
    }
    feed.sink.add([Trade(1500, 7, "kraken", Decimal("0.10"), Decimal("1E-8"), "buy")])
    await client.expect_nothing()
    feed.trade(1600, 10)
    await client.expect(MarketTrade, side=None)


async def test_who_is_too_slow_for_trades_loses_the_oldest(serve: Serve, feed: HandFeed) -> None:
    async with serve(market(feed)) as server:
        assert server.registry.emissions["market_trade"].policy is drop_oldest


async def test_trades_from_the_future_are_left_out_and_told(
    clock: VirtualClock, feed: HandFeed, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    await _join(client, f"market:{ETH}")
    await client.take()
    for _ in range(3):
        feed.trade(int(clock.now() * 1000) + 3_600_000, 99)
    assert caplog.text.count("set the clock") == 1
    await client.expect_nothing(seconds=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"linger": 0.5}, "linger is at least 1 second"),
        ({"patience": -1}, "patience 0"),
        ({"history": 0}, "a history holds at least 1 candle"),
    ],
)
async def test_arguments_that_make_no_sense(
    feed: HandFeed, arguments: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        market(feed, **arguments)  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize(
    ("symbols", "venues", "message"),
    [
        (["A:B"], ["x"], "no symbol has one: \\['A:B'\\]"),
        ([""], ["x"], "no symbol has one"),
        (["A" * 65], ["x"], "at most 64 characters"),
        (["A"], [], "traded at one venue or more"),
        (["A"], ["x", "x"], "the same symbol at the same venue"),
    ],
)
async def test_symbols_that_cannot_be(
    new_feed: type[HandFeed], symbols: list[str], venues: list[str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        market(new_feed(symbols, venues))


async def test_a_market_needs_a_feed() -> None:
    with pytest.raises(ValueError, match="a market needs a feed"):
        market()
