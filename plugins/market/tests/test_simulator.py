"""Simulated trades: the same for a seed, whoever asks and whenever, and much like real ones."""

from __future__ import annotations

from collections import Counter
from statistics import mean, median, pstdev
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lbproto.testing import Serve, VirtualClock, connect
from lbproto_market import (
    MarketDataResponse,
    MarketSymbols,
    MarketSymbolsResponse,
    RequestMarketData,
    SimulatedFeed,
    Trade,
    market,
)

if TYPE_CHECKING:
    from conftest import RecordingSink

pytestmark = pytest.mark.anyio

BTC = "BTC-USDT"


async def _run(
    sink: RecordingSink, clock: VirtualClock, seconds: float, symbol: str = BTC, **options: Any
) -> list[Trade]:
    sink.trades.clear()
    async with anyio.create_task_group() as tasks:
        await tasks.start(SimulatedFeed(**options).run, symbol, sink, clock)
        await clock.advance(seconds)
        tasks.cancel_scope.cancel()
    return list(sink.trades)


async def test_the_same_seed_makes_the_same_trades(
    sink: RecordingSink, clock: VirtualClock
) -> None:
    first = await _run(sink, clock, 30, history=60)
    again = await _run(sink, clock, 0, history=90)
    assert first == again[: len(first)] or set(first) <= set(again)
    other = await _run(sink, clock, 0, history=90, seed=2)
    assert not {trade.price for trade in other} & {trade.price for trade in again}
    ether = await _run(sink, clock, 0, "ETH-USDT", history=90)
    assert [trade.timestamp_ms for trade in ether] != [trade.timestamp_ms for trade in again]


async def test_a_trade_comes_when_its_time_has_come(
    sink: RecordingSink, clock: VirtualClock
) -> None:
    now_ms = int(clock.now() * 1000)
    trades = await _run(sink, clock, 60, history=10)
    live = [
        (trade, at)
        for trade, at in zip(trades, sink.times, strict=True)
        if trade.timestamp_ms >= now_ms
    ]
    assert len(live) > 100
    for trade, at in live:
        assert 0 <= now_ms + at * 1000 - trade.timestamp_ms <= 101
    assert sink.advanced == sorted(sink.advanced)
    # What has been said to be over is over.
    newest = dict(zip(sink.advanced, sink.seen, strict=True))
    for moment, seen in newest.items():
        assert all(trade.timestamp_ms < moment for trade in trades[:seen])
        assert all(trade.timestamp_ms >= moment for trade in trades[seen:])


async def test_trades_look_like_trades(sink: RecordingSink, clock: VirtualClock) -> None:
    trades = await _run(sink, clock, 0, history=3600, rate=2.0)
    assert len(trades) == pytest.approx(2 * 2 * 3600, rel=0.25)
    assert len({(trade.venue, trade.id) for trade in trades}) == len(trades)
    assert {trade.venue for trade in trades} == {"simulated-a", "simulated-b"}
    assert {trade.side for trade in trades} == {"buy", "sell"}
    amounts = [float(trade.amount) for trade in trades]
    assert min(amounts) > 0
    assert mean(amounts) > 1.5 * median(amounts)  # a few are large
    prices = [float(trade.price) for trade in trades]
    assert 0.8 < min(prices) / 65_000 < max(prices) / 65_000 < 1.2
    assert max(prices) / min(prices) > 1.0005
    seconds = Counter(trade.timestamp_ms // 1000 for trade in trades)
    counts = [seconds.get(second, 0) for second in range(min(seconds), max(seconds))]
    assert pstdev(counts) ** 2 > 1.5 * mean(counts)  # more than chance: they come in clusters


async def test_it_says_that_it_is_simulated(serve: Serve, clock: VirtualClock) -> None:
    async with serve(market(SimulatedFeed())) as server, connect(server, "ada") as client:
        listed = await client.request(MarketSymbols(), MarketSymbolsResponse)
        assert listed.label == "simulated trades (seed 1): no real prices"
        assert all("simulated" in venue for symbol in listed.symbols for venue in symbol.venues)
        request = RequestMarketData(symbol=BTC, resolution="1m")
        answer = await client.request(request, MarketDataResponse, timeout=5)
        assert len(answer.candles) in (10, 11)


async def test_after_a_long_sleep_it_makes_up_no_more_than_its_history(
    sink: RecordingSink, clock: VirtualClock
) -> None:
    async with anyio.create_task_group() as tasks:
        await tasks.start(SimulatedFeed(history=10).run, BTC, sink, clock)
        sink.trades.clear()
        clock.jump(86_400)
        await clock.advance(0.1)
        tasks.cancel_scope.cancel()
    since = sink.trades[0].timestamp_ms / 1000
    assert clock.now() - 12 < since < clock.now()


@pytest.mark.parametrize(
    "arguments",
    [
        {"rate": 0},
        {"rate": 101},
        {"rate": float("nan")},
        {"history": -1},
        {"history": float("inf")},
        {"symbols": {"A": 0}},
        {"symbols": {"A": float("nan")}},
    ],
    ids=str,
)
async def test_arguments_that_make_no_sense(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not"):
        SimulatedFeed(**arguments)
