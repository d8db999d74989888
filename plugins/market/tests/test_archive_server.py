"""History through a server: what clients get of it, before and after a restart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import duckdb
import pytest
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus

from lbproto import Clock, Span, UsageError
from lbproto.messages import Subscribe, Subscribed
from lbproto.testing import Client, Serve, VirtualClock, connect
from lbproto_market import (
    DuckDBArchive,
    MarketChartInitialData,
    MarketChartLiveUpdate,
    MarketDataError,
    MarketDataResponse,
    RequestMarketData,
    Sink,
    Trade,
    market,
)

pytestmark = pytest.mark.anyio

_SYMBOL = "ETH-USDT"
_ONE = 3_600_000


def _trade(second: float, price: int, venue: str = "binance") -> Trade:
    """A trade at 01:00 and some seconds; its id is its time: the same, whoever delivers it."""
    at = _ONE + int(second * 1000)
    return Trade(at, at, venue, Decimal(price), Decimal(1))


def _span(begin: int, end: int) -> Span:
    return Span(_ONE + begin, _ONE + end)


class PastFeed:
    """Delivers what has been, and then what a test adds."""

    label = "by hand"

    def __init__(
        self, past: Sequence[Trade], venues: Sequence[str] = ("binance", "kraken")
    ) -> None:
        self.symbols: Mapping[str, Sequence[str]] = {_SYMBOL: venues}
        self._past = past
        self.sink: Sink

    async def check(self) -> None: ...

    async def run(
        self,
        symbol: str,
        sink: Sink,
        clock: Clock,
        *,
        task_status: TaskStatus[None] = TASK_STATUS_IGNORED,
    ) -> None:
        self.sink = sink
        sink.add(self._past)
        task_status.started()
        await anyio.sleep_forever()


async def _closes(client: Client, resolution: str = "1s", **more: Any) -> list[float]:
    request = RequestMarketData(symbol=_SYMBOL, resolution=resolution, **more)
    answer = await client.request(request, MarketDataResponse)
    return [candle.close for candle in answer.candles]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "candles.duckdb"


async def test_a_window_reaches_before_memory_and_before_a_restart(
    serve: Serve, path: Path
) -> None:
    first = [_trade(second, second) for second in range(20)]
    plugin = market(PastFeed(first), history=5, archive=DuckDBArchive(path))
    async with serve(plugin) as server, connect(server, "ada") as client:
        assert await _closes(client, window="PT1M") == list(range(20))
        assert await _closes(client, window=_span(3000, 6000)) == [3, 4, 5]
        assert await _closes(client) == list(range(20))
        assert await _closes(client, "1m") == [19]

    # The feed delivers again what came last before the restart, and what came since.
    again = [*first[-3:], *(_trade(second, second) for second in range(20, 30))]
    plugin = market(PastFeed(again), history=5, archive=DuckDBArchive(path))
    async with serve(plugin) as server, connect(server, "ada") as client:
        assert await _closes(client, window="PT1M") == list(range(30))
        assert await _closes(client, window=_span(2000, 26_000)) == list(range(2, 26))
        assert await _closes(client) == list(range(30))
        assert await _closes(client, venues=("kraken",), window="PT1M") == []
        request = RequestMarketData(symbol=_SYMBOL, resolution="1m", window="PT1M")
        (minute,) = (await client.request(request, MarketDataResponse)).candles
        assert (minute.open, minute.close, minute.low, minute.volume) == (0, 29, 0, 30)


async def test_what_was_open_goes_on_after_a_restart_without_being_delivered_again(
    clock: VirtualClock, serve: Serve, path: Path
) -> None:
    past = [_trade(10, 5), _trade(20.5, 9)]
    async with (
        serve(market(PastFeed(past), archive=DuckDBArchive(path))) as server,
        connect(server, "ada") as client,
    ):
        assert await _closes(client, "1m") == [9]
    feed = PastFeed([])
    async with (
        serve(market(feed, archive=DuckDBArchive(path))) as server,
        connect(server, "ada") as client,
    ):
        await client.request(Subscribe(room=f"market:{_SYMBOL}"), Subscribed)
        (minute,) = (await client.expect(MarketChartInitialData)).series
        assert (minute.open, minute.close, minute.volume) == (5, 9, 2)
        feed.sink.add([_trade(20.5, 9), _trade(20.6, 7)])
        await client.expect(MarketChartLiveUpdate, timeout=1, close=7.0, volume=3.0, trades=3)


async def test_a_late_trade_amends_what_is_kept_also_after_a_restart(
    serve: Serve, path: Path
) -> None:
    past = [_trade(second, 5) for second in range(10)]
    plugin = market(PastFeed(past), archive=DuckDBArchive(path))
    async with serve(plugin) as server, connect(server, "ada") as client:
        assert len(await _closes(client)) == 10
    feed = PastFeed([_trade(5.5, 8), _trade(5.7, 6, "kraken")])
    async with (
        serve(market(feed, archive=DuckDBArchive(path))) as server,
        connect(server, "ada") as client,
    ):
        assert await _closes(client) == [5] * 5 + [6] + [5] * 4
        assert await _closes(client, venues=("binance",)) == [5] * 5 + [8] + [5] * 4
    async with (
        serve(market(PastFeed([]), history=1, archive=DuckDBArchive(path))) as server,
        connect(server, "ada") as client,
    ):
        assert await _closes(client, window=_span(4000, 7000)) == [5, 6, 5]
        assert await _closes(client, window=_span(4000, 7000), venues=("kraken",)) == [6]


async def test_venues_may_go_and_come_from_one_restart_to_another(serve: Serve, path: Path) -> None:
    async def life(venues: Sequence[str], past: Sequence[Trade]) -> list[float]:
        plugin = market(PastFeed(past, venues), archive=DuckDBArchive(path))
        async with serve(plugin) as server, connect(server, "ada") as client:
            return await _closes(client)

    assert await life(["binance"], [_trade(1, 5)]) == [5]
    assert await life(["kraken"], [_trade(2, 6, "kraken")]) == [6]
    assert await life(["binance", "kraken"], []) == [5, 6]


async def test_a_symbol_that_always_runs_has_history_that_nobody_was_there_to_see(
    clock: VirtualClock, serve: Serve, path: Path
) -> None:
    feed = PastFeed([_trade(1, 5), _trade(2, 6)])
    async with serve(market(feed, always=[_SYMBOL], archive=DuckDBArchive(path))):
        await clock.advance(60)
        feed.sink.add([_trade(3, 7)])
    async with (
        serve(market(PastFeed([]), archive=DuckDBArchive(path))) as server,
        connect(server, "ada") as client,
    ):
        assert await _closes(client) == [5, 6, 7]


def test_what_is_always_to_run_has_a_feed() -> None:
    with pytest.raises(ValueError, match=r"no feed has these, which are always to run: \['BTC'"):
        market(PastFeed([]), always=["BTC"])


async def test_more_candles_than_an_answer_holds_are_refused(serve: Serve, path: Path) -> None:
    past = [_trade(second, 5) for second in range(1200)]
    plugin = market(PastFeed(past), history=10, archive=DuckDBArchive(path))
    async with serve(plugin) as server, connect(server, "ada") as client:
        assert len(await _closes(client, window=_span(0, 1_000_000))) == 1000
        asking = RequestMarketData(symbol=_SYMBOL, resolution="1s", window=_span(0, 1_001_000))
        assert (await client.request(asking, MarketDataError)).code == "LIMIT_EXCEEDED"


async def test_history_that_cannot_be_read_is_refused_and_the_live_chart_goes_on(
    serve: Serve, path: Path
) -> None:
    archive = DuckDBArchive(path)
    feed = PastFeed([_trade(second, 5) for second in range(20)])
    async with (
        serve(market(feed, history=5, archive=archive)) as server,
        connect(server, "ada") as client,
    ):
        assert len(await _closes(client, window="PT1M")) == 20
        archive._tables.open().execute("DROP TABLE seconds")
        asking = RequestMarketData(symbol=_SYMBOL, resolution="1s", window="PT1M")
        assert (await client.request(asking, MarketDataError)).code == "OVERLOADED"
        feed.sink.add([_trade(30, 7), _trade(31, 7)])
        assert await _closes(client, window=_span(29_000, 31_000)) == [7]


async def test_a_market_that_cannot_be_resumed_is_not_begun_anew(
    clock: VirtualClock, serve: Serve, path: Path
) -> None:
    plugin = market(PastFeed([_trade(1, 5)]), archive=DuckDBArchive(path))
    async with serve(plugin) as server, connect(server, "ada") as client:
        assert await _closes(client) == [5]
    archive = DuckDBArchive(path)
    async with (
        serve(market(PastFeed([_trade(2, 6)]), archive=archive)) as server,
        connect(server, "ada") as client,
    ):
        archive._tables.open().execute("ALTER TABLE seconds RENAME TO lost")
        asking = RequestMarketData(symbol=_SYMBOL, resolution="1m")
        refusal = await client.request(asking, MarketDataError, timeout=10)
        assert (refusal.code, refusal.retry_after) == ("OVERLOADED", 5)
        with duckdb.connect(path) as connection:  # it was let go of, to be opened anew
            connection.execute("ALTER TABLE lost RENAME TO seconds")
        await clock.advance(10)
        request = RequestMarketData(symbol=_SYMBOL, resolution="1m")
        (minute,) = (await client.request(request, MarketDataResponse)).candles
        assert (minute.open, minute.close, minute.volume) == (5, 6, 2)


async def test_a_server_with_an_archive_that_cannot_be_opened_does_not_start(
    serve: Serve, path: Path
) -> None:
    await anyio.Path(path).write_text("no database" * 100)
    with pytest.raises(UsageError, match="not a valid DuckDB database"):
        async with serve(market(PastFeed([]), archive=DuckDBArchive(path))):
            pass
