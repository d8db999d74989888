"""Market data for lbproto: candles from trades, chart rooms with live updates, recorded feeds."""

from lbproto_market.archive import Archive, ArchiveStatistics
from lbproto_market.bundled import bundled_feed, recorded, replayed
from lbproto_market.duckdb_archive import DuckDBArchive
from lbproto_market.events import (
    Candle,
    MarketChartInitialData,
    MarketChartLiveUpdate,
    MarketDataError,
    MarketDataResponse,
    RequestMarketData,
)
from lbproto_market.exchanges import CcxtFeed
from lbproto_market.extensions import (
    ListedSymbol,
    MarketSymbols,
    MarketSymbolsResponse,
    MarketTrade,
)
from lbproto_market.feeds import Feed, Sink
from lbproto_market.leader import Nodes
from lbproto_market.plugin import market
from lbproto_market.replay import ReplayFeed
from lbproto_market.resolutions import RESOLUTIONS, Resolution
from lbproto_market.simulator import SimulatedFeed
from lbproto_market.trades import Trade

__all__ = [
    "RESOLUTIONS",
    "Archive",
    "ArchiveStatistics",
    "Candle",
    "CcxtFeed",
    "DuckDBArchive",
    "Feed",
    "ListedSymbol",
    "MarketChartInitialData",
    "MarketChartLiveUpdate",
    "MarketDataError",
    "MarketDataResponse",
    "MarketSymbols",
    "MarketSymbolsResponse",
    "MarketTrade",
    "Nodes",
    "ReplayFeed",
    "RequestMarketData",
    "Resolution",
    "SimulatedFeed",
    "Sink",
    "Trade",
    "bundled_feed",
    "market",
    "recorded",
    "replayed",
]
