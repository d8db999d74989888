"""What there is: every symbol of every feed, its venues, and its market once somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lbproto_market.feeds import Feed
from lbproto_market.markets import Market, not_there

__all__ = ["Catalogue"]

_LONGEST_SYMBOL = 64


class Catalogue:
    """The symbols of some feeds.

    Args:
        feeds: the sources; a symbol of several has the venues of all.
        new: makes a symbol's market, given its venues.

    Raises:
        ValueError: no feeds, a symbol that cannot be part of a room's name, or one that two feeds
            have at the same venue or that is traded nowhere.
    """

    def __init__(self, feeds: Sequence[Feed], new: Callable[[str, Sequence[str]], Market]) -> None:
        if not feeds:
            raise ValueError("a market needs a feed: market(SimulatedFeed()) makes one up")
        found: dict[str, list[str]] = {}
        for feed in feeds:
            for symbol, venues in feed.symbols.items():
                found.setdefault(symbol, []).extend(venues)
        _check(found)
        self._venues = {symbol: tuple(found[symbol]) for symbol in sorted(found)}
        self._names = list(self._venues)
        self._new = new
        self._markets: dict[str, Market] = {}

    @property
    def symbols(self) -> Sequence[str]:
        """All of them, sorted."""
        return self._names

    def venues(self, symbol: str) -> Sequence[str]:
        """Where a symbol is traded.

        Raises:
            NotFound: there is no such symbol; the message names those that exist.
        """
        try:
            return self._venues[symbol]
        except KeyError:
            raise not_there("symbol", symbol, self._names) from None

    def market(self, symbol: str) -> Market:
        """A symbol's candles.

        Raises:
            NotFound: there is no such symbol; the message names those that exist.
        """
        market = self._markets.get(symbol)
        if market is None:
            market = self._new(symbol, self.venues(symbol))
            self._markets[symbol] = market
        return market


def _check(found: dict[str, list[str]]) -> None:
    if odd := [symbol for symbol in found if not symbol or ":" in symbol]:
        raise ValueError(f"a colon parts the names of rooms, so no symbol has one: {odd}")
    if odd := [symbol for symbol in found if len(symbol) > _LONGEST_SYMBOL]:
        raise ValueError(f"a symbol has at most {_LONGEST_SYMBOL} characters: {odd}")
    if odd := [symbol for symbol, venues in found.items() if not venues]:
        raise ValueError(f"a symbol is traded at one venue or more: {odd}")
    if odd := [symbol for symbol, venues in found.items() if len(set(venues)) < len(venues)]:
        raise ValueError(f"two feeds have the same symbol at the same venue: {odd}")
