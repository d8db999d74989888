"""The plugin: charts behind rooms and a request, kept up by a feed."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import anyio

from lbproto import Context, Overloaded, Plugin, Server, conflate
from lbproto_market.events import (
    MarketChartInitialData,
    MarketChartLiveUpdate,
    MarketDataError,
    MarketDataResponse,
    RequestMarketData,
)
from lbproto_market.feeds import Feed
from lbproto_market.live import Live
from lbproto_market.markets import DEFAULT_CANDLES, Markets
from lbproto_market.resolutions import parse_resolution, spellings

__all__ = ["market"]

logger = logging.getLogger(__name__)

# What a room without a resolution in its name shows.
_DEFAULT_RESOLUTION = "1m"


def market(feed: Feed, *, history: int = 1000) -> Plugin:
    """Charts of a feed's symbols: candles on request, and rooms with live updates.

    The rooms are `market:<SYMBOL>`, which shows 1m, and `market:<SYMBOL>:<resolution>`.

    Args:
        feed: where the trades come from; it runs as long as the server does.
        history: how many closed candles are kept in memory, per symbol and resolution; at least 1.

    Raises:
        ValueError: a symbol has a colon in it, or the history is too short.
    """
    markets = Markets(feed.symbols, feed.venues, history)

    def run(server: Server) -> AbstractAsyncContextManager[None]:
        return _running(feed, Live(markets, server.clock, partial(_tell, server)))

    plugin = Plugin("market", description=feed.label, lifespan=run)
    plugin.emits(MarketChartLiveUpdate, overflow=conflate(_stale_key))

    def snapshot(symbol: str, resolution: str) -> MarketChartInitialData:
        chart = markets[symbol].charts[parse_resolution(resolution).name]
        return MarketChartInitialData(
            symbol=symbol, series=chart.newest(DEFAULT_CANDLES), resolution=chart.resolution.name
        )

    example = f"market:{next(iter(feed.symbols))}"

    @plugin.room("market:{symbol}", announce=False, refused=MarketDataError, example=example)
    async def join(_ctx: Context, symbol: str) -> MarketChartInitialData:
        return snapshot(symbol, _DEFAULT_RESOLUTION)

    @plugin.room("market:{symbol}:{resolution}", announce=False, refused=MarketDataError)
    async def join_resolution(
        _ctx: Context, symbol: str, resolution: str
    ) -> MarketChartInitialData:
        return snapshot(symbol, resolution)

    @plugin.on(RequestMarketData, refused=MarketDataError)
    async def answer(_ctx: Context, request: RequestMarketData) -> MarketDataResponse:
        candles = markets[request.symbol].candles(request)
        return MarketDataResponse(symbol=request.symbol, candles=candles)

    return plugin


@asynccontextmanager
async def _running(feed: Feed, live: Live) -> AsyncIterator[None]:
    failure: Exception | None
    async with anyio.create_task_group() as tasks:
        try:
            failure = await tasks.start(live.run, feed)
            if failure is None:
                tasks.start_soon(live.keep_pace)
                yield
        except Exception as error:  # noqa: BLE001 - raised again where no group wraps it
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


def _tell(server: Server, update: MarketChartLiveUpdate) -> None:
    """Publish an update in all rooms that show its chart: one for each way to write it."""
    room = f"market:{update.symbol}"
    rooms = [f"{room}:{spelling}" for spelling in spellings(update.resolution)]
    if update.resolution == _DEFAULT_RESOLUTION:
        rooms.append(room)
    for name in rooms:
        try:
            server.to(name).emit(update)
        except Overloaded as reason:  # other nodes lag: no reason for the feed to end
            logger.warning("%s goes without the candle of %s: %s", name, update.timestamp, reason)


def _stale_key(update: MarketChartLiveUpdate) -> tuple[str, str] | None:
    """What makes an older update stale: of an open candle only the newest state is of use."""
    return None if update.closed else (update.symbol, update.resolution)
