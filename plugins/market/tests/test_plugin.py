from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import pytest
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus

from lbproto import Clock, Event, Overloaded, Server, Span, Target
from lbproto.messages import Subscribe, Subscribed, ValidationError
from lbproto.testing import AnyToken, Client, Serve, VirtualClock, connect
from lbproto_market import (
    Candle,
    MarketChartInitialData,
    MarketChartLiveUpdate,
    MarketDataError,
    MarketDataResponse,
    ReplayFeed,
    RequestMarketData,
    Sink,
    market,
    recorded,
)

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import HandFeed

pytestmark = pytest.mark.anyio


def _asking(resolution: str, **more: Any) -> RequestMarketData:
    return RequestMarketData(symbol="ETH-USDT", resolution=resolution, **more)


async def _join(client: Client, room: str) -> MarketChartInitialData:
    """Subscribe to a room; its chart."""
    await client.request(Subscribe(room=room), Subscribed)
    return await client.expect(MarketChartInitialData)


async def test_a_room_sends_the_chart_and_then_its_updates(
    clock: VirtualClock, feed: HandFeed, client: Client
) -> None:
    prices = {"open": 10.0, "high": 10.0, "low": 10.0, "close": 10.0, "volume": 1.0}
    timestamp = "1970-01-01T00:00:00.000Z"
    assert await _join(client, "market:ETH-USDT") == MarketChartInitialData(
        symbol="ETH-USDT", series=[Candle(timestamp=timestamp, **prices)], resolution="1m"
    )
    await client.expect_nothing(seconds=1)
    feed.trade(59_999, 12)
    await client.expect(MarketChartLiveUpdate)
    assert client.transcript[-1].data == {
        "symbol": "ETH-USDT",
        **prices,
        "high": 12.0,
        "close": 12.0,
        "volume": 2.0,
        "timestamp": timestamp,
        "resolution": "1m",
        "closed": False,
        "trades": 2,
    }
    feed.sink.advance(60_000)
    feed.trade(30_000, 5)
    closed, amended = await client.take(MarketChartLiveUpdate)
    assert (closed.closed, closed.revision, closed.trades) == (True, 0, 2)
    assert (amended.closed, amended.revision, amended.low) == (True, 1, 5.0)


async def test_subscribing_again_sends_the_chart_again(feed: HandFeed, client: Client) -> None:
    await _join(client, "market:ETH-USDT:1s")
    feed.trade(5000, 12)
    chart = await _join(client, "market:ETH-USDT:1s")
    assert [candle.close for candle in chart.series] == [10.0]
    await client.take(MarketChartLiveUpdate)
    await client.expect(MarketChartLiveUpdate, timeout=0.2, close=12.0, closed=False)
    await client.expect_nothing()


async def test_an_open_candle_is_told_at_most_ten_times_a_second(
    clock: VirtualClock, feed: HandFeed, client: Client
) -> None:
    await _join(client, "market:ETH-USDT:1d")
    await clock.advance(1)
    for number in range(1000):
        feed.trade(2000 + number, 10 + number)
        await clock.advance(0.002)
    assert len(await client.take(MarketChartLiveUpdate)) == 20
    await client.expect(MarketChartLiveUpdate, timeout=0.1, close=1009.0, trades=1001)
    await client.expect_nothing(seconds=10)


@pytest.mark.parametrize(
    ("room", "resolution"),
    [("market:ETH-USDT", "1m"), ("market:ETH-USDT:1m", "1m"), ("market:ETH-USDT:60", "1h"),
     ("market:ETH-USDT:1M", "1M"), ("market:ETH-USDT:1S", "1s")],
)  # fmt: skip
async def test_every_way_to_write_a_room_gets_the_updates(
    clock: VirtualClock, feed: HandFeed, client: Client, room: str, resolution: str
) -> None:
    assert (await _join(client, room)).resolution == resolution
    await clock.advance(1)
    feed.trade(1500, 11)
    await client.expect(MarketChartLiveUpdate, resolution=resolution)
    await client.expect_nothing()


@pytest.mark.parametrize(
    ("room", "message"),
    [
        ("market:DOGE", "no symbol 'DOGE'; there are: BTC-USDT, ETH-USDT"),
        ("market:ETH-USDT:2m", "no resolution '2m'; there are: 1s, 5s"),
        ("market:DOGE:1m", "no symbol 'DOGE'"),
    ],
)
async def test_a_subscription_is_refused(client: Client, room: str, message: str) -> None:
    refusal = await client.request(Subscribe(room=room), MarketDataError)
    assert refusal.code == "NOT_FOUND"
    assert refusal.message.startswith(message)
    await client.expect_nothing()


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (RequestMarketData(symbol="DOGE", resolution="1m"), "NOT_FOUND"),
        (_asking("2m"), "NOT_FOUND"),
        (_asking("1m", venues=("mtgox",)), "NOT_FOUND"),
        (_asking("1m", window="yesterday"), "INVALID_REQUEST"),
        (_asking("1m", window=Span(from_="2024-01-02", to="2024-01-01")), "INVALID_REQUEST"),
        (_asking("1m", window=Span(from_=5, to="soon")), "INVALID_REQUEST"),
        (_asking("1m", window=Span(from_=0, to=10**14)), "LIMIT_EXCEEDED"),
    ],
)
async def test_a_request_is_refused(client: Client, request_: RequestMarketData, code: str) -> None:
    assert (await client.request(request_, MarketDataError)).code == code


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"symbol": 5}, "$.symbol"),
        ({"symbol": "x" * 65}, "$.symbol"),
        ({"resolution": None}, "$.resolution"),
        ({"venues": []}, "$.venues"),
        ({"venues": [5]}, "$.venues[0]"),
        ({"window": 24}, "$.window"),
        ({"window": {"from": 5}}, "$.window"),
        ({"window": {"from": -5, "to": 6}}, "$.window.from"),
        ({"window": {"from": 5, "to": 10**18}}, "$.window.to"),
    ],
)
async def test_a_payload_must_fit_its_schema(
    client: Client, fields: dict[str, object], path: str
) -> None:
    data = {"symbol": "ETH-USDT", "resolution": "1m", **fields}
    request = {"event": "request_market_data", "data": data}
    answer = await client.request(request, ValidationError)
    assert answer.code == "INVALID_REQUEST"
    assert f"`{path}`" in answer.message


@pytest.mark.parametrize(
    ("fields", "closes"),
    [
        ({"window": {"from": "1970-01-01T00:00:02.000Z", "to": 4000}}, [11.0]),
        ({"window": "PT1S"}, []),  # the open one has not been told yet
        ({"window": None, "venues": None}, [10.0, 11.0]),
        ({"venues": ["binance"]}, [10.0, 12.0]),
    ],
)
async def test_an_answer_to_a_window_and_to_null(
    feed: HandFeed, client: Client, fields: dict[str, object], closes: list[float]
) -> None:
    await client.request(_asking("1m"), MarketDataResponse)
    feed.trade(2000, 11, "kraken")
    feed.trade(4000, 12)
    data = {"symbol": "ETH-USDT", "resolution": "1S", **fields}
    answer = await client.request(
        {"event": "request_market_data", "data": data}, MarketDataResponse
    )
    assert answer.symbol == "ETH-USDT"
    assert [candle.close for candle in answer.candles] == closes


async def test_a_feed_that_cannot_start_says_why(serve: Serve, tmp_path: Path) -> None:
    plugin = market(ReplayFeed(tmp_path / "nothing.csv", "ETH-USDT"))
    with pytest.raises(FileNotFoundError, match=r"nothing\.csv"):
        async with serve(plugin):
            pass


class SilentFeed:
    """One that has nothing, and does not say that it has started."""

    label = "silent"
    symbols: Mapping[str, Collection[str]] = {"ETH-USDT": ("binance",)}

    async def check(self) -> None: ...

    async def run(
        self,
        symbol: str,
        sink: Sink,
        clock: Clock,
        *,
        task_status: TaskStatus[None] = TASK_STATUS_IGNORED,
    ) -> None:
        return


async def test_a_feed_that_has_nothing_at_all(serve: Serve) -> None:
    async with serve(market(SilentFeed())) as server, connect(server, "ada") as client:
        answer = await client.request(_asking("1m"))
        assert answer == MarketDataResponse(symbol="ETH-USDT", candles=[])


async def test_a_server_that_cannot_publish_does_not_end_the_feed(
    feed: HandFeed,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await client.request(_asking("1m"), MarketDataResponse)
    with monkeypatch.context() as patch:
        patch.setattr(Target, "emit", _overloaded)
        feed.trade(61_000, 11)
    assert "market:ETH-USDT goes without MarketChartLiveUpdate" in caplog.text
    answer = await client.request(_asking("1s"), MarketDataResponse)
    assert [candle.close for candle in answer.candles] == [10.0]


def _overloaded(target: Target, event: Event) -> None:
    raise Overloaded("the other nodes lag")


async def test_an_error_of_the_server_passes_through_as_it_is(
    clock: VirtualClock, feed: HandFeed
) -> None:
    server = Server([market(feed)], auth=AnyToken(), clock=clock)
    with pytest.raises(LookupError, match="not ours"):
        async with server.lifespan():
            raise LookupError("not ours")


async def test_a_feed_that_ends_leaves_its_charts(
    clock: VirtualClock, serve: Serve, bundle: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plugin = market(ReplayFeed(bundle, "ETH-USDT", venue="binance", speed="max"))
    with caplog.at_level(logging.INFO):
        async with serve(plugin) as server, connect(server, "ada") as client:
            answer = await client.request(_asking("1m", window="PT1H"), MarketDataResponse)
            assert "has come to its end" in caplog.text
            timestamps = [candle.timestamp for candle in answer.candles]
            assert timestamps == [f"2023-02-02T09:2{minute}:00.000Z" for minute in range(4)]


async def test_the_entry_point_is_alive_at_once(clock: VirtualClock, serve: Serve) -> None:
    (point,) = (p for p in entry_points(group="lbproto.plugins") if p.name == "market")
    assert point.load() is recorded
    async with serve(recorded()) as server, connect(server, "ada") as client:
        chart = await _join(client, "market:ETH-USDT")
        assert len(chart.series) > 30
        answer = await client.request(_asking("1s", window="PT1M"), MarketDataResponse)
        assert len(answer.candles) > 40
        await client.take(MarketChartLiveUpdate)
        await clock.advance(60)
        updates = await client.take(MarketChartLiveUpdate)
        assert sum(update.closed for update in updates) == 1
        assert 60 < len(updates) <= 600
