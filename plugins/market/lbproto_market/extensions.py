"""What goes over the wire beyond the published contract: trades, and which symbols there are."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from lbproto import Event, Model

__all__ = ["ListedSymbol", "MarketSymbols", "MarketSymbolsResponse", "MarketTrade"]

MAX_SYMBOLS = 500
"""The most symbols that one answer lists."""


class MarketTrade(Event):
    """One trade, once; a slow client may miss the oldest, and is told how many.

    `price` and `amount` are decimal strings, exact. `side` is which way the taker went, where the
    venue says so.
    """

    symbol: str
    venue: str
    id: str
    price: str
    amount: str
    timestamp: str
    side: Literal["buy", "sell"] | None = None


class MarketSymbols(Event):
    """Ask which symbols there are; answered by `market_symbols_response`.

    They come in the order of their names, `limit` at a time; the cursor of one answer asks for the
    next.
    """

    limit: Annotated[int, Meta(ge=1, le=MAX_SYMBOLS)] = 100
    cursor: Annotated[str, Meta(max_length=64)] | None = None


class ListedSymbol(Model):
    """A symbol, where it is traded, and whether its trades come in just now.

    Trades come in while somebody needs them: a symbol that is not live may be so a moment after its
    room is joined.
    """

    symbol: str
    venues: list[str]
    live: bool


class MarketSymbolsResponse(Event):
    """Some of the symbols; `label` says what their prices are, `nextCursor` is null at the end."""

    symbols: list[ListedSymbol]
    resolutions: list[str]
    label: str
    next_cursor: str | None
