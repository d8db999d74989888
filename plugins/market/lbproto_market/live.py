"""Between the feed and the rooms: counts trades in, and tells each change when it is due."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

import anyio
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus

from lbproto import Clock
from lbproto_market.events import MarketChartLiveUpdate
from lbproto_market.feeds import Feed
from lbproto_market.markets import Markets
from lbproto_market.trades import Trade

__all__ = ["Live"]

logger = logging.getLogger(__name__)

# A sleep may end a moment early; without a least one that would be a busy wait.
_SHORTEST_WAIT = 0.001


class Live:
    """The sink of a running feed.

    Args:
        markets: what the trades go into.
        clock: for when the next update is due.
        tell: takes each update, in order, and returns at once.
    """

    def __init__(
        self, markets: Markets, clock: Clock, tell: Callable[[MarketChartLiveUpdate], None]
    ) -> None:
        self._markets = markets
        self._clock = clock
        self._tell = tell
        self._started = False
        self._changed = anyio.Event()

    def add(self, symbol: str, trades: Sequence[Trade]) -> None:
        """See `Sink.add`."""
        wall_ms = int(self._clock.now() * 1000)
        changes = self._markets[symbol].add(trades, self._clock.monotonic(), wall_ms)
        self._tell_all(changes.updates)

    def advance(self, milliseconds: int) -> None:
        """See `Sink.advance`."""
        for changes in self._markets.advance(milliseconds, self._clock.monotonic()):
            self._tell_all(changes.updates)

    async def run(
        self, feed: Feed, *, task_status: TaskStatus[Exception | None] = TASK_STATUS_IGNORED
    ) -> None:
        """Run a feed to its end.

        A feed that fails later than its start takes nothing else down: its charts stand still, and
        the log says so.

        Args:
            feed: what to run.
            task_status: gets None once the feed has put in its history, or why it cannot start.
        """
        live = self

        class Start:
            """Passes the word on, and remembers it."""

            def started(self, value: None = None) -> None:
                live._started = True
                task_status.started(value)

        try:
            await feed.run(self, self._clock, task_status=Start())
        except Exception as failure:
            if not self._started:
                task_status.started(failure)
                return
            logger.exception("the feed has failed, its charts stand still: %s", feed.label)
        if not self._started:
            task_status.started(None)

    async def keep_pace(self) -> None:
        """Tell the changes of open candles that had to wait for their turn, until cancelled."""
        while True:
            due = self._markets.due
            if due is None:
                self._changed = anyio.Event()
                await self._changed.wait()
                continue
            await self._clock.sleep(max(due - self._clock.monotonic(), _SHORTEST_WAIT))
            self._tell_all(self._markets.flush(self._clock.monotonic()))

    def _tell_all(self, updates: Iterable[MarketChartLiveUpdate]) -> None:
        self._changed.set()
        if not self._started:
            return  # history: nobody can have joined yet, and a snapshot will hold it
        for update in updates:
            self._tell(update)
