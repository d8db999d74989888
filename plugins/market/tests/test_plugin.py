from __future__ import annotations

import logging
from collections.abc import Collection
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import pytest
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus

from lbproto import Clock, Event, Overloaded, Server, StaticTokens, Target
from lbproto_market import ReplayFeed, Sink, market, recorded

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import HandFeed, Serving, VirtualClock


def _only(frames: list[dict[str, Any]], event: str) -> list[dict[str, Any]]:
    return [frame["data"] for frame in frames if frame["event"] == event]


@pytest.mark.anyio
async def test_a_room_sends_the_chart_and_then_its_updates(
    clock: VirtualClock, feed: HandFeed, serving: Serving
) -> None:
    async with serving(clock, market(feed)) as client:
        subscribed, chart = await client.send("subscribe", room="market:ETH-USDT")
        assert subscribed["event"] == "subscribed"
        assert chart["event"] == "market_chart_initial_data"
        candle = {"open": 10.0, "high": 10.0, "low": 10.0, "close": 10.0, "volume": 1.0}
        timestamp = "1970-01-01T00:00:00.000Z"
        assert chart["data"] == {
            "symbol": "ETH-USDT",
            "series": [{"timestamp": timestamp, **candle}],
            "resolution": "1m",
        }
        await clock.advance(1)
        feed.trade(59_999, 12)
        (update,) = await client.take()
        assert update == {
            "event": "market_chart_live_update",
            "data": {
                "symbol": "ETH-USDT",
                **candle,
                "high": 12.0,
                "close": 12.0,
                "volume": 2.0,
                "timestamp": timestamp,
                "resolution": "1m",
                "closed": False,
                "trades": 2,
            },
        }
        feed.sink.advance(60_000)
        feed.trade(30_000, 5)
        closed, amended = _only(await client.take(), "market_chart_live_update")
        assert (closed["closed"], closed.get("revision"), closed["trades"]) == (True, None, 2)
        assert (amended["closed"], amended["revision"], amended["low"]) == (True, 1, 5.0)


@pytest.mark.anyio
async def test_subscribing_again_sends_the_chart_again(
    clock: VirtualClock, feed: HandFeed, serving: Serving
) -> None:
    async with serving(clock, market(feed)) as client:
        await client.send("subscribe", room="market:ETH-USDT:1s")
        feed.trade(5000, 12)
        frames = await client.send("subscribe", room="market:ETH-USDT:1s")
        (chart,) = _only(frames, "market_chart_initial_data")
        assert [candle["close"] for candle in chart["series"]] == [10.0]
        await clock.advance(0.2)
        (update,) = _only(await client.take(), "market_chart_live_update")
        assert (update["close"], update["closed"]) == (12.0, False)


@pytest.mark.anyio
async def test_an_open_candle_is_told_at_most_ten_times_a_second(
    clock: VirtualClock, feed: HandFeed, serving: Serving
) -> None:
    async with serving(clock, market(feed)) as client:
        await clock.advance(1)
        await client.send("subscribe", room="market:ETH-USDT:1d")
        for number in range(1000):
            feed.trade(2000 + number, 10 + number)
            await clock.advance(0.002)
        updates = _only(await client.take(), "market_chart_live_update")
        assert len(updates) == 20
        await clock.advance(0.1)
        (last,) = _only(await client.take(), "market_chart_live_update")
        assert (last["close"], last["trades"]) == (1009.0, 1001)
        await clock.advance(10)
        assert await client.take() == []


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("room", "resolution"),
    [("market:ETH-USDT", "1m"), ("market:ETH-USDT:1m", "1m"), ("market:ETH-USDT:60", "1h"),
     ("market:ETH-USDT:1M", "1M"), ("market:ETH-USDT:1S", "1s")],
)  # fmt: skip
async def test_every_way_to_write_a_room_gets_the_updates(
    clock: VirtualClock, feed: HandFeed, serving: Serving, room: str, resolution: str
) -> None:
    async with serving(clock, market(feed)) as client:
        (chart,) = _only(await client.send("subscribe", room=room), "market_chart_initial_data")
        await clock.advance(1)
        feed.trade(1500, 11)
        (update,) = _only(await client.take(), "market_chart_live_update")
        assert chart["resolution"] == update["resolution"] == resolution


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("room", "message"),
    [
        ("market:DOGE", "no symbol 'DOGE'; there are: BTC-USDT, ETH-USDT"),
        ("market:ETH-USDT:2m", "no resolution '2m'; there are: 1s, 5s"),
        ("market:DOGE:1m", "no symbol 'DOGE'"),
    ],
)
async def test_a_subscription_is_refused(
    clock: VirtualClock, feed: HandFeed, serving: Serving, room: str, message: str
) -> None:
    async with serving(clock, market(feed)) as client:
        (refusal,) = await client.send("subscribe", room=room)
        assert refusal["event"] == "market_data_error"
        assert refusal["data"]["code"] == "NOT_FOUND"
        assert refusal["data"]["message"].startswith(message)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"symbol": "DOGE"}, "NOT_FOUND"),
        ({"resolution": "2m"}, "NOT_FOUND"),
        ({"venues": ["mtgox"]}, "NOT_FOUND"),
        ({"window": "yesterday"}, "INVALID_REQUEST"),
        ({"window": {"from": "2024-01-02", "to": "2024-01-01"}}, "INVALID_REQUEST"),
        ({"window": {"from": 5, "to": "soon"}}, "INVALID_REQUEST"),
        ({"window": {"from": 0, "to": 10**14}}, "LIMIT_EXCEEDED"),
    ],
)
async def test_a_request_is_refused(
    clock: VirtualClock, feed: HandFeed, serving: Serving, fields: dict[str, object], code: str
) -> None:
    async with serving(clock, market(feed)) as client:
        answer = await client.ask(**{"symbol": "ETH-USDT", "resolution": "1m", **fields})
        assert (answer["event"], answer["data"]["code"]) == ("market_data_error", code)


@pytest.mark.anyio
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
    clock: VirtualClock, feed: HandFeed, serving: Serving, fields: dict[str, object], path: str
) -> None:
    async with serving(clock, market(feed)) as client:
        answer = await client.ask(**{"symbol": "ETH-USDT", "resolution": "1m", **fields})
        assert answer["event"] == "validation_error"
        assert answer["data"]["code"] == "INVALID_REQUEST"
        assert f"`{path}`" in answer["data"]["message"]


@pytest.mark.anyio
async def test_an_answer_to_a_window_and_to_null(
    clock: VirtualClock, feed: HandFeed, serving: Serving
) -> None:
    async with serving(clock, market(feed)) as client:
        feed.trade(2000, 11, "kraken")
        feed.trade(4000, 12)
        window = {"from": "1970-01-01T00:00:02.000Z", "to": 4000}
        for fields, closes in (
            ({"window": window}, [11.0]),
            ({"window": "PT1S"}, []),  # the open one has not been told yet
            ({"window": None, "venues": None}, [10.0, 11.0]),
            ({"venues": ["binance"]}, [10.0, 12.0]),
        ):
            answer = await client.ask(symbol="ETH-USDT", resolution="1S", **fields)
            assert answer["event"] == "market_data_response"
            assert answer["data"]["symbol"] == "ETH-USDT"
            assert [candle["close"] for candle in answer["data"]["candles"]] == closes


@pytest.mark.anyio
async def test_a_feed_that_fails_is_told_and_takes_nothing_else_down(
    clock: VirtualClock, feed: HandFeed, serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(clock, market(feed)) as client:
        feed.failing.set()
        await clock.advance(1)
        assert "the feed has failed, its charts stand still: by hand" in caplog.text
        assert "the exchange is gone" in caplog.text
        answer = await client.ask(symbol="ETH-USDT", resolution="1m")
        assert len(answer["data"]["candles"]) == 1


@pytest.mark.anyio
async def test_a_feed_that_cannot_start_says_why(
    clock: VirtualClock, serving: Serving, tmp_path: Path
) -> None:
    plugin = market(ReplayFeed(tmp_path / "nothing.csv", "ETH-USDT"))
    with pytest.raises(FileNotFoundError, match=r"nothing\.csv"):
        async with serving(clock, plugin):
            pass


class SilentFeed:
    """One that has nothing, and does not say that it has started."""

    label = "silent"
    symbols: Collection[str] = ("ETH-USDT",)
    venues: Collection[str] = ("binance",)

    async def run(
        self, sink: Sink, clock: Clock, *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED
    ) -> None:
        return


@pytest.mark.anyio
async def test_a_feed_that_has_nothing_at_all(clock: VirtualClock, serving: Serving) -> None:
    async with serving(clock, market(SilentFeed())) as client:
        answer = await client.ask(symbol="ETH-USDT", resolution="1m")
        assert answer["data"] == {"symbol": "ETH-USDT", "candles": []}


@pytest.mark.anyio
async def test_a_server_that_cannot_publish_does_not_end_the_feed(
    clock: VirtualClock,
    feed: HandFeed,
    serving: Serving,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(clock, market(feed)) as client:
        with monkeypatch.context() as patch:
            patch.setattr(Target, "emit", _overloaded)
            feed.trade(61_000, 11)
        assert "market:ETH-USDT goes without the candle of 1970-01-01T00:00:00.000Z" in caplog.text
        answer = await client.ask(symbol="ETH-USDT", resolution="1s")
        assert [candle["close"] for candle in answer["data"]["candles"]] == [10.0]


def _overloaded(target: Target, event: Event) -> None:
    raise Overloaded("the other nodes lag")


@pytest.mark.anyio
async def test_an_error_of_the_server_passes_through_as_it_is(
    clock: VirtualClock, feed: HandFeed
) -> None:
    server = Server([market(feed)], auth=StaticTokens({}), clock=clock)
    with pytest.raises(LookupError, match="not ours"):
        async with server.lifespan():
            raise LookupError("not ours")


@pytest.mark.anyio
async def test_a_feed_that_ends_leaves_its_charts(
    clock: VirtualClock, serving: Serving, bundle: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plugin = market(ReplayFeed(bundle, "ETH-USDT", venue="binance", speed="max"))
    with caplog.at_level(logging.INFO):
        async with serving(clock, plugin) as client:
            await clock.advance(1)
            assert "has come to its end" in caplog.text
            answer = await client.ask(symbol="ETH-USDT", resolution="1m", window="PT1H")
            timestamps = [candle["timestamp"] for candle in answer["data"]["candles"]]
            assert timestamps == [f"2023-02-02T09:2{minute}:00.000Z" for minute in range(4)]


@pytest.mark.anyio
async def test_the_entry_point_is_alive_at_once(clock: VirtualClock, serving: Serving) -> None:
    (point,) = (p for p in entry_points(group="lbproto.plugins") if p.name == "market")
    assert point.load() is recorded
    async with serving(clock, recorded()) as client:
        (_, chart) = await client.send("subscribe", room="market:ETH-USDT")
        assert len(chart["data"]["series"]) > 30
        answer = await client.ask(symbol="ETH-USDT", resolution="1s", window="PT1M")
        assert len(answer["data"]["candles"]) > 40
        await clock.advance(60)
        updates = _only(await client.take(), "market_chart_live_update")
        assert sum(update["closed"] for update in updates) == 1
        assert 60 < len(updates) <= 600
