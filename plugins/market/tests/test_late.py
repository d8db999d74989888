"""Late, early and missing trades, as clients see them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import pytest

from lbproto.messages import Subscribe, Subscribed
from lbproto.testing import START, Client, Serve, VirtualClock, connect
from lbproto_market import (
    MarketChartInitialData,
    MarketChartLiveUpdate,
    MarketDataResponse,
    ReplayFeed,
    RequestMarketData,
    Trade,
    market,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import HandFeed

pytestmark = pytest.mark.anyio


async def _join(client: Client, resolution: str = "1s") -> None:
    await client.request(Subscribe(room=f"market:ETH-USDT:{resolution}"), Subscribed)
    await client.expect(MarketChartInitialData)


async def _told(client: Client) -> list[tuple[str, bool, float, int, int]]:
    updates = await client.take(MarketChartLiveUpdate)
    return [(u.timestamp[17:19], u.closed, u.close, u.trades, u.revision) for u in updates]


async def test_candles_are_held_open_for_late_trades(
    serve: Serve, feed: HandFeed, clock: VirtualClock
) -> None:
    async with serve(market(feed, lateness=2.0)) as server, connect(server, "ada") as client:
        await _join(client)
        feed.trade(2500, 11)
        feed.trade(1700, 12)
        await clock.advance(0.1)
        # Both are open: neither state makes the other stale.
        assert await _told(client) == [("01", False, 12, 2, 0), ("02", False, 11, 1, 0)]
        feed.sink.advance(4000)
        feed.trade(1800, 13)
        assert await _told(client) == [("01", True, 12, 2, 0), ("01", True, 13, 3, 1)]


async def test_a_quiet_period_is_told_and_answered(serve: Serve, feed: HandFeed) -> None:
    async with serve(market(feed, fill=60)) as server, connect(server, "ada") as client:
        await _join(client)
        feed.sink.advance(4000)
        feed.trade(2500, 12)
        assert await _told(client) == [
            ("01", True, 10, 1, 0),
            ("02", True, 10, 0, 0),
            ("03", True, 10, 0, 0),
            ("02", True, 12, 1, 1),
            ("03", True, 12, 0, 1),
        ]
        request = RequestMarketData(symbol="ETH-USDT", resolution="1s")
        answer = await client.request(request, MarketDataResponse)
        assert [(c.close, c.volume) for c in answer.candles] == [(10, 1), (12, 1), (12, 0)]


async def test_trades_that_come_twice_too_late_or_too_early_are_told_apart(
    serve: Serve, feed: HandFeed, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    now = int(START * 1000)
    async with serve(market(feed, history=1, ahead=3)) as server, connect(server, "ada") as client:
        await _join(client)
        for seconds in range(3):
            feed.trade(now + seconds * 1000, 10)
        await client.take(MarketChartLiveUpdate)
        twice = Trade(now, 2, "binance", Decimal(99), Decimal(1))
        feed.sink.add([twice, twice])
        assert not caplog.messages
        feed.trade(now - 5000, 99)
        assert caplog.messages == [
            "ETH-USDT: 1 trades came too late: candles that memory no longer holds lack them"
        ]
        caplog.clear()
        feed.trade(now + 3001, 99)
        feed.trade(now + 10**12, 99)
        assert [message[:37] for message in caplog.messages] == [
            "ETH-USDT: 1 trades are left out, as b"
        ]
        await clock.advance(1)
        assert all(close != 99 for _, _, close, _, _ in await _told(client))


@pytest.mark.parametrize("speed", ["max", 1000.0])
async def test_a_recording_of_the_future_has_a_time_of_its_own(
    serve: Serve,
    clock: VirtualClock,
    write: Callable[[str], Path],
    speed: Literal["max"] | float,
) -> None:
    begin = int(START * 1000) + 10**10
    rows = "".join(f"{begin + n * 60_000},{n},10,1\n" for n in range(60))
    feed = ReplayFeed(write("timestamp_ms,id,price,amount\n" + rows), "ETH-USDT", speed=speed)
    async with serve(market(feed)) as server, connect(server, "ada") as client:
        await _join(client, "1m")
        await clock.advance(60)
        request = RequestMarketData(symbol="ETH-USDT", resolution="1m", window="P1D")
        answer = await client.request(request, MarketDataResponse)
        assert len(answer.candles) == 60


@pytest.mark.parametrize(
    "options",
    [
        *({"lateness": -1}, {"lateness": float("nan")}, {"lateness": 61}, {"ahead": -0.1}),
        *({"ahead": 1e9}, {"fill": -1}, {"fill": 1001}, {"history": 0}),
    ],
)
def test_options_that_make_no_sense_are_refused(feed: HandFeed, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"not "):
        market(feed, **options)
