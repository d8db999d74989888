"""The plugin: charts behind rooms and a request, kept up by feeds."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection
from functools import partial

from lbproto import Context, Plugin, conflate, drop_oldest
from lbproto_market.archive import Archive
from lbproto_market.catalogue import Catalogue
from lbproto_market.desk import Desk
from lbproto_market.events import (
    MarketChartInitialData,
    MarketChartLiveUpdate,
    MarketDataError,
    MarketDataResponse,
    RequestMarketData,
)
from lbproto_market.extensions import (
    ListedSymbol,
    MarketSymbols,
    MarketSymbolsResponse,
    MarketTrade,
)
from lbproto_market.feeds import Feed
from lbproto_market.leader import Nodes
from lbproto_market.markets import Market
from lbproto_market.questions import Begin, Candles, Live, Snapshot
from lbproto_market.resolutions import RESOLUTIONS
from lbproto_market.telling import DEFAULT_RESOLUTION

__all__ = ["market"]

# Ten times a second, every candle that is held open is looked at; and when trading goes on after a
# gap, each chart tells the candles that fill it at once.
_MAX_OPTIONS = {"lateness": 60, "ahead": 86_400, "fill": 1_000}


def market(
    *feeds: Feed,
    history: int = 1000,
    lateness: float = 0.0,
    ahead: float = 5.0,
    fill: int = 0,
    linger: float = 30.0,
    patience: float = 5.0,
    always: Collection[str] = (),
    archive: Archive | None = None,
    nodes: Nodes | None = None,
) -> Plugin:
    """Charts of the feeds' symbols: candles on request, and rooms with live updates.

    The rooms are `market:<SYMBOL>`, which shows 1m, `market:<SYMBOL>:<resolution>`, and
    `market_trades:<SYMBOL>`. A symbol's feeds run while somebody is in one of its rooms.

    Args:
        feeds: where the trades come from.
        history: how many closed candles are kept in memory, per symbol, venue and resolution, at
            least 1; 96 bytes each.
        lateness: how long candles are held open for late trades, in seconds of event time, at most
            60. One that comes later than that amends its candle.
        ahead: how many seconds a trade may be ahead of the clock; one further ahead is refused.
        fill: how many periods without a trade get a candle after a trade, each with the last price
            and no volume; at most 1,000. 0: gaps stay.
        linger: seconds that a symbol's feeds go on for when nobody needs them; at least 1.
        patience: the most seconds that who joins or asks waits for a feed to put in its history.
        always: symbols whose feeds run from start to stop, whether or not somebody needs them:
            those that are to have no holes in the archive.
        archive: keeps closed candles beyond that, and what a restarted server goes on with; opened
            when the server starts and closed when it stops. None: nothing outlives the process.
        nodes: the others that have the same market, one of which runs the feeds for all; the
            archive is open there. None: each node runs its own, and tells everybody.

    Raises:
        ValueError: no feeds, a symbol that has a colon, that two feeds have at one venue or that no
            feed has, or a number that is too small.
    """
    if not linger >= 1 or not patience >= 0:
        raise ValueError(f"linger is at least 1 second, patience 0: not {linger} and {patience}")
    if history < 1:
        raise ValueError(f"a history holds at least 1 candle, not {history}")
    for name, value in (("lateness", lateness), ("ahead", ahead), ("fill", fill)):
        if not 0 <= value <= _MAX_OPTIONS[name]:
            raise ValueError(f"{name} is 0 to {_MAX_OPTIONS[name]:,}, not {value}")
    new = partial(Market, history=history, lateness=lateness, ahead=ahead, fill=fill)
    catalogue = Catalogue(feeds, new)
    if unknown := sorted(set(always).difference(catalogue.symbols)):
        raise ValueError(f"no feed has these, which are always to run: {unknown}")
    label = "; ".join(feed.label for feed in feeds)
    desk = Desk(
        feeds,
        catalogue,
        history=history,
        linger=linger,
        patience=patience,
        always=frozenset(always),
        archive=archive,
        nodes=nodes,
    )

    plugin = Plugin("market", description=label, lifespan=desk.running)
    plugin.emits(MarketChartLiveUpdate, overflow=conflate(partial(_stale_key, lateness > 0)))
    plugin.emits(MarketTrade, overflow=drop_oldest)

    example = f"market:{catalogue.symbols[0]}"

    @plugin.room(
        "market:{symbol}",
        announce=False,
        refused=MarketDataError,
        example=example,
        occupancy=partial(desk.watch, "market"),
    )
    async def join(ctx: Context, symbol: str) -> MarketChartInitialData:
        return await desk.ask(Snapshot(symbol, DEFAULT_RESOLUTION, f"market:{symbol}"), ctx)

    @plugin.room(
        "market:{symbol}:{resolution}",
        announce=False,
        refused=MarketDataError,
        occupancy=partial(desk.watch, "market"),
    )
    async def join_resolution(ctx: Context, symbol: str, resolution: str) -> MarketChartInitialData:
        return await desk.ask(Snapshot(symbol, resolution, f"market:{symbol}:{resolution}"), ctx)

    @plugin.room(
        "market_trades:{symbol}",
        announce=False,
        refused=MarketDataError,
        occupancy=partial(desk.watch, "market_trades"),
    )
    async def join_trades(ctx: Context, symbol: str) -> None:
        catalogue.venues(symbol)
        await desk.ask(Begin(symbol, f"market_trades:{symbol}"), ctx)

    @plugin.on(RequestMarketData, refused=MarketDataError)
    async def answer(_ctx: Context, request: RequestMarketData) -> MarketDataResponse:
        return await desk.ask(Candles(request))

    @plugin.on(MarketSymbols, refused=MarketDataError, repeatable=True)
    async def list_symbols(_ctx: Context, request: MarketSymbols) -> MarketSymbolsResponse:
        first = 0 if request.cursor is None else bisect_right(catalogue.symbols, request.cursor)
        symbols = catalogue.symbols[first : first + request.limit]
        more = first + request.limit < len(catalogue.symbols)
        are_live = await desk.ask(Live(list(symbols)))
        return MarketSymbolsResponse(
            symbols=[
                ListedSymbol(
                    symbol=symbol,
                    venues=list(catalogue.venues(symbol)),
                    live=is_live,
                )
                for symbol, is_live in zip(symbols, are_live, strict=True)
            ],
            resolutions=list(RESOLUTIONS),
            label=label,
            next_cursor=symbols[-1] if more else None,
        )

    return plugin


def _stale_key(several: bool, update: MarketChartLiveUpdate) -> tuple[str, str, str] | None:
    """What makes an older update stale: of an open candle only the newest state is of use.

    Args:
        several: whether a chart has several open candles at a time. Where it has one, the state of
            that makes the one before stale too, which has closed: a slow client's queue is half as
            long.
    """
    if update.closed:
        return None
    return update.symbol, update.resolution, update.timestamp if several else ""
