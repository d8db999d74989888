"""Feeds run while somebody needs them, and are started again when they die."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus

from lbproto import Clock, Recovery
from lbproto.messages import Subscribe, Subscribed, Unsubscribe
from lbproto.testing import Client, Serve, VirtualClock, connect, settle
from lbproto_market import (
    MarketChartInitialData,
    MarketChartLiveUpdate,
    MarketDataError,
    MarketDataResponse,
    MarketTrade,
    RequestMarketData,
    Sink,
    Trade,
    market,
)

if TYPE_CHECKING:
    from conftest import HandFeed

pytestmark = pytest.mark.anyio

ETH, BTC = "ETH-USDT", "BTC-USDT"
LINGER = 30.0


async def _join(client: Client, room: str, within: float = 0.0) -> None:
    await client.request(Subscribe(room=room), Subscribed, timeout=within)


async def _leave(client: Client, room: str) -> None:
    await client.request(Unsubscribe(room=room))


def _asking(symbol: str = ETH, resolution: str = "1m") -> RequestMarketData:
    return RequestMarketData(symbol=symbol, resolution=resolution)


# Started and stopped


async def test_a_feed_runs_while_somebody_is_in_a_room(
    clock: VirtualClock, feed: HandFeed, client: Client
) -> None:
    await clock.advance(60)
    assert feed.runs == {}
    await _join(client, f"market:{ETH}")
    assert feed.running == {ETH}
    await clock.advance(600)
    assert feed.running == {ETH}
    await _leave(client, f"market:{ETH}")
    await clock.advance(LINGER - 1)
    assert feed.running == {ETH}
    await clock.advance(2)
    assert feed.running == set()
    await _join(client, f"market:{ETH}")
    assert feed.running == {ETH}
    assert feed.runs == {ETH: 2}


async def test_who_comes_while_it_lingers_keeps_it(
    clock: VirtualClock, feed: HandFeed, client: Client
) -> None:
    await _join(client, f"market:{ETH}")
    await _leave(client, f"market:{ETH}")
    await clock.advance(LINGER - 1)
    await _join(client, f"market:{ETH}:5s")
    await clock.advance(10 * LINGER)
    assert feed.running == {ETH}
    await _leave(client, f"market:{ETH}:5s")
    await clock.advance(LINGER - 1)
    await _join(client, f"market:{ETH}:1D")
    await _leave(client, f"market:{ETH}:1D")
    await clock.advance(LINGER - 1)  # counted from the last one's going
    assert feed.running == {ETH}
    await clock.advance(2)
    assert feed.running == set()
    assert feed.runs == {ETH: 1}


async def test_every_room_of_a_symbol_needs_it(
    clock: VirtualClock, serve: Serve, feed: HandFeed
) -> None:
    rooms = [f"market:{ETH}", f"market:{ETH}:1m", f"market:{ETH}:60", f"market_trades:{ETH}"]
    async with (
        serve(market(feed)) as server,
        connect(server, "ada") as ada,
        connect(server, "bob") as bob,
    ):
        for room in rooms:
            await _join(ada, room)
            await _join(bob, room)
        for client in (ada, bob):
            for room in rooms:
                await clock.advance(2 * LINGER)
                assert feed.running == {ETH}
                await _leave(client, room)
        await clock.advance(LINGER + 1)
        assert feed.running == set()
        assert feed.runs == {ETH: 1}


async def test_a_question_is_a_need(clock: VirtualClock, feed: HandFeed, client: Client) -> None:
    answer = await client.request(_asking(BTC), MarketDataResponse)
    assert [candle.close for candle in answer.candles] == [10.0]
    assert feed.running == {BTC}
    await clock.advance(LINGER + 1)
    assert feed.running == set()


async def test_who_is_refused_needs_nothing(feed: HandFeed, client: Client) -> None:
    for room in ("market:DOGE", f"market:{ETH}:2m", "market_trades:DOGE"):
        refusal = await client.request(Subscribe(room=room), MarketDataError)
        assert refusal.code == "NOT_FOUND"
        if "DOGE" in room:
            assert refusal.message == "no symbol 'DOGE'; there are: BTC-USDT, ETH-USDT"
    assert feed.runs == {}


async def test_a_lost_connection_needs_it_during_its_grace(
    clock: VirtualClock, serve: Serve, feed: HandFeed
) -> None:
    recovery = Recovery(window=120, grace=15)
    async with (
        serve(market(feed), recovery=recovery) as server,
        connect(server, "ada") as client,
    ):
        await _join(client, f"market:{ETH}")
        client.drop()
        await clock.advance(15 + LINGER - 1)
        assert feed.running == {ETH}
        await clock.advance(2)
        assert feed.running == set()


async def test_the_end_of_the_server_ends_its_feeds(serve: Serve, feed: HandFeed) -> None:
    plugin = market(feed)
    for _ in range(2):  # it may be run again
        async with serve(plugin) as server, connect(server, "ada") as client:
            await _join(client, f"market:{ETH}")
            assert feed.running == {ETH}
        assert feed.running == set()
    assert feed.runs == {ETH: 2}


# History


class SlowFeed:
    """One whose history takes its time."""

    label = "slow"
    symbols: Mapping[str, Collection[str]] = {ETH: ("binance",)}

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.stopping = anyio.Event()
        self.stopping.set()
        self.runs = 0

    async def check(self) -> None: ...

    async def run(
        self,
        symbol: str,
        sink: Sink,
        clock: Clock,
        *,
        task_status: TaskStatus[None] = TASK_STATUS_IGNORED,
    ) -> None:
        self.runs += 1
        await clock.sleep(self.seconds)
        sink.add([Trade(1000, 1, "binance", Decimal(10), Decimal(1))])
        task_status.started()
        try:
            await anyio.Event().wait()
        finally:
            with anyio.CancelScope(shield=True):
                await self.stopping.wait()


@pytest.mark.parametrize(("seconds", "waited", "closes"), [(3, 3, [10.0]), (20, 5, [])])
async def test_who_joins_waits_for_history_and_not_for_ever(
    clock: VirtualClock, serve: Serve, seconds: float, waited: float, closes: list[float]
) -> None:
    async with serve(market(SlowFeed(seconds))) as server, connect(server, "ada") as client:
        before = clock.monotonic()
        await _join(client, f"market:{ETH}", within=10)
        assert clock.monotonic() - before == waited
        chart = await client.expect(MarketChartInitialData)
        assert [candle.close for candle in chart.series] == closes
        if not closes:
            await client.expect(MarketChartLiveUpdate, timeout=20, close=10.0)


async def test_who_comes_while_it_is_being_stopped_gets_it_anew(
    clock: VirtualClock, serve: Serve
) -> None:
    feed = SlowFeed(1)
    async with serve(market(feed)) as server, connect(server, "ada") as client:
        await client.request(_asking(), MarketDataResponse, timeout=2)
        feed.stopping = anyio.Event()
        await clock.advance(LINGER + 1)
        client.emit(Subscribe(room=f"market:{ETH}"))
        await clock.advance(2)
        assert feed.runs == 1  # never twice at a time
        await client.expect_nothing(MarketChartInitialData)
        feed.stopping.set()
        await client.expect(MarketChartInitialData, timeout=2)
        assert feed.runs == 2


# Dying and coming back


async def test_a_feed_that_dies_is_told_once_and_started_again(
    clock: VirtualClock, feed: HandFeed, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    rooms = [f"market:{ETH}", f"market:{ETH}:60", f"market_trades:{ETH}"]
    for room in rooms:
        await _join(client, room)
    await client.take()
    feed.failing.set()
    with caplog.at_level(logging.WARNING):
        await clock.advance(3600)
    told = await client.take(MarketDataError)
    assert len(told) == len(rooms)  # each once, however often it was tried
    assert {(error.code, error.symbol) for error in told} == {("OVERLOADED", ETH)}
    assert told[0].message == "ETH-USDT gets nothing from by hand: it is being tried again"
    assert told[0].retry_after == 1
    (record,) = caplog.records
    assert "by hand: ETH-USDT has failed, and its charts stand still" in record.getMessage()
    assert "the exchange is gone" in caplog.text
    # After 1, 2, 4, ... 60 seconds, each up to a half earlier.
    assert 3600 / 60 <= feed.runs[ETH] <= 3600 / 30 + 6
    answer = await client.request(_asking(), MarketDataResponse)
    assert len(answer.candles) == 1


async def test_a_feed_that_is_back_may_die_again(
    clock: VirtualClock, feed: HandFeed, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    await _join(client, f"market:{ETH}")
    for _ in range(2):
        feed.failing.set()
        await settle()
        feed.failing = anyio.Event()
        with caplog.at_level(logging.INFO):
            await clock.advance(60)
        assert len(await client.take(MarketDataError)) == 1
    assert caplog.text.count("is back after") == 2


async def test_a_feed_whose_wait_was_cancelled_by_somebody_else_is_started_again(
    clock: VirtualClock, feed: HandFeed, client: Client
) -> None:
    if anyio.get_cancelled_exc_class() is not asyncio.CancelledError:
        return  # under trio nobody can
    await _join(client, f"market:{ETH}")
    feed.failure = anyio.get_cancelled_exc_class()()
    feed.failing.set()
    await settle()
    feed.failing = anyio.Event()
    await clock.advance(2)
    assert len(await client.take(MarketDataError)) == 1
    assert feed.running == {ETH}


async def test_a_dying_feed_harms_no_other_symbol(
    clock: VirtualClock, feed: HandFeed, client: Client
) -> None:
    await _join(client, f"market:{ETH}")
    await _join(client, f"market:{BTC}")
    await client.take()
    feed.failing.set()
    await clock.advance(1)
    feed.trade(1500, 20, symbol=BTC)
    await client.expect(MarketChartLiveUpdate, symbol=BTC, close=20.0)
    assert {error.symbol for error in await client.take(MarketDataError)} <= {ETH}
    assert feed.runs[BTC] == 1


async def test_one_of_two_feeds_dies(
    clock: VirtualClock, serve: Serve, new_feed: type[HandFeed]
) -> None:
    one, two = new_feed([ETH], ["binance"]), new_feed([ETH], ["kraken"])
    async with serve(market(one, two)) as server, connect(server, "ada") as client:
        await _join(client, f"market:{ETH}")
        one.failing.set()
        await clock.advance(1)
        assert len(await client.take(MarketDataError)) == 1
        two.trade(1500, 20, "kraken")
        await client.expect(MarketChartLiveUpdate, timeout=1, close=20.0)
        assert two.runs[ETH] == 1


async def test_who_comes_during_an_outage_joins_with_what_there_is(
    clock: VirtualClock, feed: HandFeed, client: Client
) -> None:
    feed.failing.set()
    await _join(client, f"market:{ETH}")
    chart = await client.expect(MarketChartInitialData)
    assert (len(chart.series), chart.live) == (1, False)
    assert (await client.expect(MarketDataError)).code == "OVERLOADED"
    feed.failing = anyio.Event()
    await clock.advance(60)
    await _join(client, f"market:{ETH}")
    assert (await client.expect(MarketChartInitialData)).live
    await client.expect_nothing()


async def test_what_comes_twice_or_late_after_a_restart_is_counted_once(
    clock: VirtualClock, feed: HandFeed, client: Client
) -> None:
    await _join(client, f"market:{ETH}:1s")
    await _join(client, f"market_trades:{ETH}")
    trades = [feed.trade(1200 + 200 * number, 11 + number) for number in range(10)]
    feed.failing.set()
    await settle()
    feed.failing = anyio.Event()
    await clock.advance(2)
    await client.take()
    missed = Trade(2900, 100, "binance", Decimal(99), Decimal(1))
    newest = Trade(4000, 101, "binance", Decimal(50), Decimal(1))
    feed.sink.add([newest, *reversed(trades), missed, *trades])
    await clock.advance(1)
    assert [trade.id for trade in await client.take(MarketTrade)] == ["101", "100"]
    answer = await client.request(_asking(resolution="1s"), MarketDataResponse)
    volumes = {candle.timestamp[17:19]: candle.volume for candle in answer.candles}
    assert volumes == {"01": 5.0, "02": 6.0, "03": 1.0, "04": 1.0}
