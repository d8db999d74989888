"""What goes over the wire. The names of events and fields are those of the published contract."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from lbproto import Duration, ErrorEvent, Event, Model, Span

__all__ = [
    "Candle",
    "MarketChartInitialData",
    "MarketChartLiveUpdate",
    "MarketDataError",
    "MarketDataResponse",
    "RequestMarketData",
]

# Short enough to be echoed in a refusal.
_Name = Annotated[str, Meta(min_length=1, max_length=64)]


class Candle(Model):
    """One period of a chart; `timestamp` is when it opened, volume is in the base asset."""

    timestamp: str
    open: float
    high: float
    low: float
    close: float
    volume: float


class RequestMarketData(Event):
    """Ask for a part of a chart; answered by `market_data_response` or `market_data_error`.

    Without a window it is the newest 100 candles. A window is an ISO 8601 duration that looks back
    from now, or a span; it may hold at most 1,000 candles. Without venues it is all of them
    together.
    """

    symbol: _Name
    resolution: _Name
    venues: Annotated[tuple[_Name, ...], Meta(min_length=1, max_length=64)] | None = None
    window: Duration | Span | None = None


class MarketDataResponse(Event):
    """The candles asked for, oldest first, the open one last."""

    symbol: str
    candles: list[Candle]


class MarketChartInitialData(Event):
    """A chart as it stands when its room is joined: at most 100 candles, the open one last.

    `live` is false where its source is out of reach just now, so that it stands still.
    """

    symbol: str
    series: list[Candle]
    resolution: str
    live: bool = True


class MarketChartLiveUpdate(Event):
    """The new state of one candle; it replaces what was known of the same `timestamp`.

    `closed` candles change no more, but for a late trade: then the candle is sent again with a
    `revision` one higher. `trades` is how many the candle is made of.
    """

    symbol: str
    open: float
    high: float
    low: float
    close: float
    volume: float
    timestamp: str
    resolution: str
    closed: bool
    trades: int
    revision: int = 0


class MarketDataError(ErrorEvent, kw_only=True):
    """A request or a subscription for market data was refused, or its source is out of reach.

    The latter is told in the rooms of a symbol, once an outage: `OVERLOADED`, with the symbol.
    """

    symbol: str | None = None
