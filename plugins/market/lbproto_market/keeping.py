"""One market and its archive: what it goes on with, what it adds, what it reads."""

from __future__ import annotations

import logging

from anyio import to_thread

from lbproto import Clock, Overloaded
from lbproto_market.archive import Archive, Resumption
from lbproto_market.backlog import BASE
from lbproto_market.changes import Changes
from lbproto_market.markets import Market, Older, Query

__all__ = ["Keeping"]

logger = logging.getLogger(__name__)

# Seconds between two tries to read what a market goes on with.
_RETRY = 5.0


class Keeping:
    """What of one market is kept.

    Args:
        market: new: nothing has been added to it.
        archive: where it is kept; None: nowhere.
        history: how many closed candles of each chart the market holds.
    """

    def __init__(self, market: Market, archive: Archive | None, history: int) -> None:
        self._market = market
        self._archive = archive
        self._history = history
        self._resumed = archive is None

    async def resume(self, clock: Clock) -> None:
        """Go on from where an earlier life left off, before the first trade; waits until it can.

        A market that began anew would replace the candles of open periods by halves.
        """
        while not self._resumed and self._archive is not None:
            symbol = self._market.symbol
            try:
                resumption = await self._archive.resume(symbol, self._history)
            except Overloaded as reason:
                logger.warning("%s has to wait for its archive: %s", symbol, reason)
                await clock.sleep(_RETRY)
                continue
            # In a thread: of a market with everything it is a fifth of a second. Nobody else looks
            # at the market until then.
            await to_thread.run_sync(self._go_on, resumption)

    def check(self) -> None:
        """Raise where the market has not got what it goes on with.

        Raises:
            Overloaded: its archive cannot be read yet.
        """
        if not self._resumed:
            reason = f"{self._market.symbol} waits for its history to be read; try again"
            raise Overloaded(reason, retry_after=_RETRY)

    def add(self, changes: Changes) -> None:
        """Keep what has changed; never waits."""
        if self._archive is not None:
            market = self._market
            self._archive.write(market.symbol, market.now_ms, changes.settled, changes.trades)

    def close(self) -> None:
        """Keep what is open, when nothing more is added; never waits."""
        if self._archive is not None and self._resumed:
            seconds = [kept for kept in self._market.open() if kept.resolution == BASE]
            self._archive.write(self._market.symbol, self._market.now_ms, seconds)

    def _go_on(self, resumption: Resumption) -> None:
        now_ms, settled, seen = resumption
        venues = self._market.venues  # others may have been there earlier
        self._market.resume(
            now_ms,
            [one for one in settled if one.venue in venues],
            {venue: trades for venue, trades in seen.items() if venue in venues},
        )
        self._resumed = True

    async def older(self, query: Query) -> Older | None:
        """What memory no longer holds of what is asked for, to be answered with at once.

        Raises:
            Overloaded: the archive cannot be read now, too many ask at once, or it takes too long.
        """
        older: Older | None = None
        if self._archive is None:
            return None
        while (missing := self._market.missing(query, older)) is not None:
            bars = await self._archive.read(self._market.symbol, query.venues, query.cut, *missing)
            older = Older(missing, bars)
        return older
