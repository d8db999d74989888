"""Who is told what: each piece of news goes to the rooms that show it."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from lbproto import ErrorCode, Event, Overloaded, Server, iso_timestamp
from lbproto_market.events import MarketChartLiveUpdate, MarketDataError
from lbproto_market.extensions import MarketTrade
from lbproto_market.outages import Outage
from lbproto_market.resolutions import RESOLUTIONS, spellings
from lbproto_market.trades import Trade
from lbproto_market.watched import Watched

__all__ = ["DEFAULT_RESOLUTION", "Teller"]

logger = logging.getLogger(__name__)

DEFAULT_RESOLUTION = "1m"
"""What a room without a resolution in its name shows."""

# What follows a symbol in the names of the rooms that show a resolution: each way to write it.
_ENDINGS = {
    name: tuple(f":{spelling}" for spelling in spellings(name))
    + (("",) if name == DEFAULT_RESOLUTION else ())
    for name in RESOLUTIONS
}


class Teller:
    """Publishes what happens in the markets of a server; never waits.

    Args:
        server: has the rooms.
        rooms: only these are told; None for all.
    """

    def __init__(self, server: Server, rooms: Watched | None = None) -> None:
        self._server = server
        self._watched = rooms

    def update(self, update: MarketChartLiveUpdate) -> None:
        """Tell a candle's new state to everyone who looks at its chart."""
        for ending in _ENDINGS[update.resolution]:
            self._emit(f"market:{update.symbol}{ending}", update)

    def trade(self, symbol: str, trade: Trade) -> None:
        """Tell a trade to everyone who looks at a symbol's trades."""
        event = MarketTrade(
            symbol=symbol,
            venue=trade.venue,
            id=str(trade.id),
            price=f"{trade.price:f}",
            amount=f"{trade.amount:f}",
            timestamp=iso_timestamp(trade.timestamp_ms),
            side=trade.side or None,
        )
        self._emit(f"market_trades:{symbol}", event)

    def outage(self, outage: Outage, rooms: Iterable[str] | None = None) -> None:
        """Tell that nothing comes from one of a symbol's feeds.

        Args:
            rooms: whom; by default everyone who looks at the symbol.
        """
        event = MarketDataError(
            code=ErrorCode.OVERLOADED,
            message=f"{outage.symbol} gets nothing from {outage.feed}: it is being tried again",
            retry_after=outage.retry_after,
            symbol=outage.symbol,
        )
        for room in _rooms(outage.symbol) if rooms is None else rooms:
            self._emit(room, event)

    def _emit(self, room: str, event: Event) -> None:
        if self._watched is not None and room not in self._watched:
            return
        try:
            self._server.to(room).emit(event)
        except Overloaded as reason:  # other nodes lag: no reason for the feed to end
            logger.warning("%s goes without %r: %s", room, event, reason)


def _rooms(symbol: str) -> Iterable[str]:
    for endings in _ENDINGS.values():
        for ending in endings:
            yield f"market:{symbol}{ending}"
    yield f"market_trades:{symbol}"
