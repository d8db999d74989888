"""Between a feed and the rooms: counts one symbol's trades in, and tells each change when due."""

from __future__ import annotations

import logging
from collections.abc import Collection

import anyio

from lbproto import Clock
from lbproto_market.changes import Changes
from lbproto_market.charts import TELL_EVERY
from lbproto_market.keeping import Keeping
from lbproto_market.markets import Market
from lbproto_market.telling import Teller
from lbproto_market.trades import Trade

__all__ = ["Live"]

logger = logging.getLogger(__name__)

# A sleep may end a moment early; without a least one that would be a busy wait.
_SHORTEST_WAIT = 0.001

_WARNED_EVERY = 60.0


class Live:
    """The sink of one symbol.

    Args:
        market: what the trades go into.
        clock: for when the next update is due.
        teller: takes what is to be told.
        keeping: takes what is to be kept.
    """

    def __init__(self, market: Market, clock: Clock, teller: Teller, keeping: Keeping) -> None:
        self._market = market
        self._clock = clock
        self._teller = teller
        self._keeping = keeping
        self._changed = anyio.Event()
        # By message: of how many trades in all, and when it was logged last.
        self._left_out: dict[str, tuple[int, float]] = {}

    async def resume(self) -> None:
        """Go on from what was kept, before the first trade; see `Keeping.resume`."""
        await self._keeping.resume(self._clock)

    def add(self, trades: Collection[Trade], now_ms: int | None = None) -> None:
        """See `Sink.add`."""
        wall_ms = int(self._clock.now() * 1000) if now_ms is None else now_ms
        self._tell(self._market.add(list(trades), self._clock.monotonic(), wall_ms))

    def advance(self, milliseconds: int) -> None:
        """See `Sink.advance`."""
        self._tell(self._market.advance(milliseconds, self._clock.monotonic()))

    def catch_up(self) -> None:
        """Tell what has not had its turn yet: a chart that has just got its history is whole."""
        self._flush(self._clock.monotonic() + TELL_EVERY)

    async def keep_pace(self) -> None:
        """Tell the changes of open candles that had to wait for their turn, until cancelled."""
        while True:
            due = self._market.due
            if due is None:
                self._changed = anyio.Event()
                await self._changed.wait()
                continue
            await self._clock.sleep(max(due - self._clock.monotonic(), _SHORTEST_WAIT))
            self._flush(self._clock.monotonic())

    def _flush(self, now: float) -> None:
        for update in self._market.flush(now):
            self._teller.update(update)

    def _tell(self, changes: Changes) -> None:
        self._changed.set()
        self._keeping.add(changes)
        for update in changes.updates:
            self._teller.update(update)
        for trade in changes.trades:
            self._teller.trade(changes.symbol, trade)
        if changes.skewed:
            self._warn(
                "%s: %d trades are left out, as by this machine's clock they are still to come: "
                "set the clock, or tell the venue",
                changes.skewed,
            )
        if changes.left_out:
            self._warn(
                "%s: %d trades came too late: candles that memory no longer holds lack them",
                changes.left_out,
            )

    def _warn(self, message: str, count: int) -> None:
        """Log how many trades there were of a kind, once in a while."""
        now = self._clock.monotonic()
        total, warned_at = self._left_out.get(message, (0, float("-inf")))
        if now - warned_at > _WARNED_EVERY:
            warned_at = now
            logger.error(message, self._market.symbol, total + count)
        self._left_out[message] = (total + count, warned_at)
