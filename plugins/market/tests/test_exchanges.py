"""Exchanges by way of ccxt: its real client, and a local exchange that does what a test says.

The server's clock stands still but where a test moves it; ccxt and the exchange run by themselves.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lbproto import Event
from lbproto.messages import Subscribe, Subscribed, Unsubscribe
from lbproto.testing import Client, Serve, VirtualClock, connect
from lbproto_market import (
    CcxtFeed,
    MarketChartInitialData,
    MarketChartLiveUpdate,
    MarketDataError,
    MarketDataResponse,
    MarketTrade,
    RequestMarketData,
    market,
)

if TYPE_CHECKING:
    from exchange_server import Dealt, ExchangeServer

pytestmark = pytest.mark.anyio

with_ccxt = pytest.mark.skipif(find_spec("ccxt") is None, reason="ccxt is not installed")

SECONDS = 60


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """One event loop of each kind: ccxt runs in a thread of its own under all."""
    name: str = request.param
    return name


@pytest.fixture(params=["binance", "kraken"])
def exchange(
    request: pytest.FixtureRequest, new_exchange: Callable[[str], ExchangeServer]
) -> Iterator[ExchangeServer]:
    exchange = new_exchange(request.param)
    with exchange.running():
        yield exchange


class Follower:
    """A client, and everything that it was told."""

    def __init__(self, client: Client, exchange: ExchangeServer, clock: VirtualClock) -> None:
        self.client = client
        self.exchange = exchange
        self.clock = clock
        self.told: list[Event] = []

    async def until(self, condition: Callable[[], bool], seconds: float = 0.0) -> None:
        """Wait until a condition holds.

        Args:
            seconds: of the server's time that pass between two looks.
        """
        with anyio.fail_after(SECONDS):
            while not condition():
                await anyio.sleep(0.01)
                await self.clock.advance(seconds)
                self.told += await self.client.take()

    async def join(self, room: str = "market:{}:1s") -> None:
        """Join a room, once the exchange has been subscribed to."""
        before = len(self.of(Subscribed))
        self.client.emit(Subscribe(room=room.format(self.exchange.symbol)))
        await self.until(lambda: len(self.of(Subscribed)) > before)

    def of(self, event: type[Any]) -> list[Any]:
        return [told for told in self.told if isinstance(told, event)]

    async def candles(self) -> dict[str, tuple[float, ...]]:
        """Of each second: open, high, low, close, volume; those that have closed are as told."""
        await self.clock.advance(1)
        before = len(self.of(MarketDataResponse))
        self.client.emit(RequestMarketData(symbol=self.exchange.symbol, resolution="1s"))
        await self.until(lambda: len(self.of(MarketDataResponse)) > before)
        answer = self.of(MarketDataResponse)[-1]
        return {candle.timestamp[11:19]: _figures(candle) for candle in answer.candles}

    def assembled(self) -> dict[str, tuple[float, ...]]:
        """The same from the chart and its updates."""
        charts = self.of(MarketChartInitialData)
        candles = [*charts[-1].series, *self.of(MarketChartLiveUpdate)]
        return {candle.timestamp[11:19]: _figures(candle) for candle in candles}


def _figures(candle: Any) -> tuple[float, ...]:
    return (candle.open, candle.high, candle.low, candle.close, candle.volume)


def _expected(trades: list[Dealt]) -> dict[str, tuple[float, ...]]:
    """An aggregation of its own, from what the exchange dealt."""
    seconds: dict[int, list[Dealt]] = {}
    for trade in sorted(set(trades), key=lambda trade: (trade.timestamp_ms, trade.id)):
        seconds.setdefault(trade.timestamp_ms // 1000, []).append(trade)
    return {
        _clock_time(second): (
            float(dealt[0].price),
            float(max(Decimal(trade.price) for trade in dealt)),
            float(min(Decimal(trade.price) for trade in dealt)),
            float(dealt[-1].price),
            float(sum(Decimal(trade.amount) for trade in dealt)),
        )
        for second, dealt in seconds.items()
    }


def _clock_time(second: int) -> str:
    hours, rest = divmod(second % 86_400, 3600)
    return f"{hours:02}:{rest // 60:02}:{rest % 60:02}"


@pytest.fixture
async def follower(
    serve: Serve, clock: VirtualClock, exchange: ExchangeServer
) -> AsyncIterator[Follower]:
    exchange.now = clock.now
    feed = CcxtFeed(exchange.name, [exchange.symbol], config=exchange.config)
    async with serve(market(feed)) as server, connect(server, "ada") as client:
        yield Follower(client, exchange, clock)


@pytest.fixture
def dealt(clock: VirtualClock, deal: Callable[..., Dealt]) -> Callable[..., list[Dealt]]:
    """`dealt(first, count, begin=...)`: trades, five a second, some seconds before now."""
    now_ms = int(clock.now() * 1000)

    def make(first: int, count: int, begin: float = -30.0) -> list[Dealt]:
        return [
            deal(
                number,
                now_ms + int(begin * 1000) + 200 * number,
                f"{63_000 + number * 37 % 11}.1{number % 10}",
                f"0.0{number}1",
                "buy" if number % 3 else "sell",
            )
            for number in range(first, first + count)
        ]

    return make


Deal = Callable[..., "list[Dealt]"]


@with_ccxt
async def test_history_and_what_happens_then(follower: Follower, dealt: Deal) -> None:
    exchange = follower.exchange
    history, live = dealt(1, 20), dealt(21, 20)
    exchange.miss(*history)
    await follower.join()
    await follower.join("market_trades:{}")
    await follower.until(lambda: exchange.subscriptions == 1)
    exchange.publish(*live)
    await follower.until(lambda: len(follower.of(MarketTrade)) == 20)
    assert await follower.candles() == _expected(history + live) == follower.assembled()
    for told, trade in zip(follower.of(MarketTrade), live, strict=True):
        assert (told.id, told.side, told.venue) == (str(trade.id), trade.side, exchange.name)
        assert Decimal(told.price) == Decimal(trade.price)  # exact, digit by digit
        assert Decimal(told.amount) == Decimal(trade.amount)
    assert not follower.of(MarketDataError)


@with_ccxt
async def test_a_long_past_comes_in_several_answers(
    follower: Follower, deal: Callable[..., Dealt]
) -> None:
    begin_ms = int(follower.clock.now() * 1000) - 100_000
    past = [deal(number, begin_ms + 40 * number, "63000.5", "0.001") for number in range(2300)]
    follower.exchange.miss(*past)
    await follower.join()
    assert await follower.candles() == _expected(past)


@with_ccxt
async def test_what_the_exchange_does_not_tell_of_any_more_is_logged(
    follower: Follower, dealt: Deal, caplog: pytest.LogCaptureFixture
) -> None:
    exchange = follower.exchange
    await follower.join("market_trades:{}")
    await follower.until(lambda: exchange.subscriptions == 1)
    exchange.publish(*dealt(1, 5))
    await follower.until(lambda: len(follower.of(MarketTrade)) == 5)
    exchange.disconnect()
    exchange.trades = dealt(20, 5)
    await follower.until(lambda: len(follower.of(MarketTrade)) == 10, seconds=0.5)
    assert f"{exchange.name}: trades of {exchange.symbol} are missing from" in caplog.text


@with_ccxt
async def test_a_lost_connection_loses_no_trade_and_counts_none_twice(
    follower: Follower, dealt: Deal
) -> None:
    exchange = follower.exchange
    before, missed, after = dealt(1, 13), dealt(14, 12), dealt(26, 10)
    await follower.join()
    await follower.join("market_trades:{}")
    await follower.until(lambda: exchange.subscriptions == 1)
    exchange.publish(*before)
    await follower.until(lambda: len(follower.of(MarketTrade)) == 13)
    exchange.disconnect()
    exchange.miss(*missed)
    await follower.until(lambda: exchange.subscriptions == 2, seconds=0.5)
    # Duplicates of what was counted, and all the rest in a disorder.
    exchange.publish(after[-1], *before[-5:], *reversed(after), after[3])
    await follower.until(lambda: len(follower.of(MarketTrade)) >= 35)
    assert await follower.candles() == _expected(before + missed + after) == follower.assembled()
    assert len(follower.of(MarketTrade)) == 35
    errors = follower.of(MarketDataError)
    assert len(errors) == 2  # one in each room
    assert errors[0].code == "OVERLOADED"
    assert f"live trades of {exchange.name}" in errors[0].message
    assert len({(t.id, t.venue) for t in follower.of(MarketTrade)}) == 35


@with_ccxt
@pytest.mark.parametrize("frame", ['{"e": "aggTrade", "channel": "trade", "', "[[["])
async def test_a_malformed_frame_breaks_no_more_than_the_connection(
    follower: Follower, dealt: Deal, frame: str
) -> None:
    exchange = follower.exchange
    before, after = dealt(1, 7), dealt(8, 7)
    await follower.join()
    await follower.join("market_trades:{}")
    await follower.until(lambda: exchange.subscriptions == 1)
    exchange.publish(*before)
    exchange.send(frame)
    await follower.until(lambda: exchange.subscriptions == 2, seconds=0.5)
    exchange.publish(*after)
    await follower.until(lambda: len(follower.of(MarketTrade)) >= 14)
    assert await follower.candles() == _expected(before + after) == follower.assembled()


@with_ccxt
async def test_frames_that_say_nothing_are_passed_over(
    follower: Follower, dealt: Deal, caplog: pytest.LogCaptureFixture
) -> None:
    exchange = follower.exchange
    trades = dealt(1, 5)
    await follower.join("market_trades:{}")
    await follower.until(lambda: exchange.subscriptions == 1)
    for frame in ("{}", '{"channel": "heartbeat"}', '{"e": "somethingNew", "s": "BTCUSDT"}'):
        exchange.send(frame)
    exchange.publish(trades[0]._replace(price="0"), kept=False)
    exchange.publish(*trades)
    await follower.until(lambda: len(follower.of(MarketTrade)) == 5)
    assert "a trade is left out: price" in caplog.text
    assert exchange.subscriptions == 1


@with_ccxt
async def test_an_exchange_that_is_down_at_the_start(follower: Follower, dealt: Deal) -> None:
    exchange = follower.exchange
    history = dealt(1, 12)
    exchange.miss(*history)
    exchange.status = 503
    await follower.join()
    (chart,) = follower.of(MarketChartInitialData)
    assert (chart.series, chart.live) == ([], False)
    await follower.until(lambda: len(follower.of(MarketDataError)) == 1)
    asked = len(exchange.requests)
    await follower.until(lambda: len(exchange.requests) > asked + 3, seconds=1)
    assert len(follower.of(MarketDataError)) == 1  # once an outage
    exchange.status = 200
    await follower.until(lambda: len(follower.assembled()) >= 3, seconds=1)
    assert await follower.candles() == _expected(history) == follower.assembled()


@with_ccxt
@pytest.mark.parametrize("skew", [-90.0, 4.0])
async def test_an_exchange_whose_clock_is_wrong(
    follower: Follower, dealt: Deal, skew: float
) -> None:
    exchange, clock = follower.exchange, follower.clock
    exchange.now = lambda: clock.now() + skew
    trades = dealt(1, 25, skew)
    await follower.join()
    await follower.join("market_trades:{}")
    await follower.until(lambda: exchange.subscriptions == 1)
    for number, trade in enumerate(trades, start=1):
        await clock.advance(0.2)
        exchange.publish(trade)
        await follower.until(lambda: len(follower.of(MarketTrade)) == number)  # noqa: B023 - awaited at once
    await clock.advance(100)
    await follower.until(lambda: True)
    assert await follower.candles() == _expected(trades) == follower.assembled()
    updates = follower.of(MarketChartLiveUpdate)
    assert all(update.revision == 0 for update in updates)  # closed neither too early
    closed = {update.timestamp for update in updates if update.closed}
    assert len(closed) == len(_expected(trades))  # nor never


@with_ccxt
async def test_who_leaves_leaves_the_exchange_too(
    follower: Follower, dealt: Deal, exchange: ExchangeServer
) -> None:
    await follower.join()
    await follower.until(lambda: exchange.subscriptions == 1)
    follower.client.emit(Unsubscribe(room=f"market:{exchange.symbol}:1s"))
    await follower.clock.advance(31)
    await follower.until(lambda: exchange.streams == 0)
    exchange.miss(*dealt(1, 5))
    await follower.join()
    await follower.until(lambda: len(follower.of(MarketChartInitialData)) == 2)
    assert len(follower.of(MarketChartInitialData)[-1].series) == 2


@with_ccxt
async def test_a_symbol_that_the_exchange_does_not_have(
    serve: Serve, clock: VirtualClock, exchange: ExchangeServer, caplog: pytest.LogCaptureFixture
) -> None:
    feed = CcxtFeed(exchange.name, ["DOGE/USDT", exchange.symbol], config=exchange.config)
    async with serve(market(feed)) as server, connect(server, "ada") as client:
        follower = Follower(client, exchange, clock)
        client.emit(Subscribe(room="market:DOGE/USDT"))
        await follower.until(lambda: len(follower.of(MarketDataError)) == 1)
        assert "DOGE/USDT has failed" in caplog.text
        await follower.join()  # the other one is not harmed
        assert follower.of(MarketChartInitialData)[-1].live
