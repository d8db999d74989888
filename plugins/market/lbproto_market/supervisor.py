"""Which feeds run: those of the symbols that somebody needs.

Theory of operation. A symbol is needed by each room of it that somebody is in, and by each request
while it is answered. With the first need its feeds start. When the last one has gone, they go on
for a while, as a client that reloads its page is back in a moment, and are stopped then.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from random import Random

import anyio
from anyio.abc import TaskGroup

from lbproto import Clock
from lbproto_market.feeds import Feed
from lbproto_market.live import Live
from lbproto_market.outages import Outage
from lbproto_market.restarts import Restarts

__all__ = ["Supervisor"]

# A sleep may end a moment early; without a least one that would be a busy wait.
_SHORTEST_WAIT = 0.001


class _Line:
    """One symbol: who needs it, and what runs for it.

    Attributes:
        live: takes its trades.
        runs: its feeds.
        needs: how many need it just now.
        left_at: when the last of them went, in monotonic seconds.
        served: whether its feeds run, or are being stopped.
        unneeded: set when the last one goes.
    """

    def __init__(self, live: Live, runs: list[Restarts]) -> None:
        self.live = live
        self.runs = runs
        self.needs = 0
        self.left_at = 0.0
        self.served = False
        self.unneeded = anyio.Event()

    @property
    def ready(self) -> bool:
        return all(run.ready for run in self.runs)

    async def wait_ready(self) -> None:
        for run in self.runs:
            await run.wait_ready()

    async def wait_stale(self, clock: Clock, linger: float) -> None:
        """Wait until nobody has needed it for so many seconds."""
        while True:
            if self.needs:
                self.unneeded = anyio.Event()
                await self.unneeded.wait()
                continue
            left = self.left_at + linger - clock.monotonic()
            if left <= 0:
                return
            await clock.sleep(max(left, _SHORTEST_WAIT))


class Supervisor:
    """Starts and stops the feeds of one server.

    Args:
        feeds: the sources.
        clock: for every wait.
        live: what takes a symbol's trades.
        tell: takes the news of each outage.
        linger: seconds that feeds go on for when nobody needs them any more.
        patience: the most seconds that somebody waits for history.
        random: spreads the attempts to start what has died.
    """

    def __init__(
        self,
        feeds: Iterable[Feed],
        clock: Clock,
        live: Callable[[str], Live],
        tell: Callable[[Outage], None],
        *,
        linger: float,
        patience: float,
        random: Random | None = None,
    ) -> None:
        self._feeds = list(feeds)
        self._clock = clock
        self._live = live
        self._tell = tell
        self._linger = linger
        self._patience = patience
        self._random = random or Random()  # noqa: S311 - spreads attempts, keeps no secret
        self._lines: dict[str, _Line] = {}
        self._tasks: TaskGroup | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run what is needed while the body runs.

        Raises:
            Exception: what a feed says would keep it from ever running, or the body raises.
        """
        for feed in self._feeds:
            await feed.check()
        failure: Exception | None = None
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            try:
                yield
            except Exception as error:  # noqa: BLE001 - raised again where no group wraps it
                failure = error
            self._tasks = None
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure

    def is_live(self, symbol: str) -> bool:
        """Whether trades of a symbol come in just now, from every feed that has not ended."""
        line = self._lines.get(symbol)
        return (
            line is not None
            and any(run.live for run in line.runs)
            and all(run.live or run.ended for run in line.runs)
        )

    def outages(self, symbol: str) -> list[Outage]:
        """The feeds of a symbol that are out of reach just now."""
        line = self._lines.get(symbol)
        return [] if line is None else [run.outage for run in line.runs if run.outage is not None]

    def need(self, symbol: str) -> None:
        """Somebody needs a symbol from now on."""
        line = self._lines.get(symbol)
        if line is None:
            line = self._lines[symbol] = self._line(symbol)
        line.needs += 1
        if not line.served and self._tasks is not None:
            line.served = True
            self._tasks.start_soon(self._serve, line)

    def release(self, symbol: str) -> None:
        """Somebody needs it no more."""
        line = self._lines[symbol]
        line.needs -= 1
        if line.needs == 0:
            line.left_at = self._clock.monotonic()
            line.unneeded.set()

    def _line(self, symbol: str) -> _Line:
        live = self._live(symbol)
        return _Line(
            live,
            [
                Restarts(feed, symbol, live, self._clock, self._tell, self._random)
                for feed in self._feeds
                if symbol in feed.symbols
            ],
        )

    @asynccontextmanager
    async def using(self, symbol: str) -> AsyncIterator[None]:
        """Need a symbol while the body runs, which begins when its history is in.

        Where that takes longer than the patience, or a feed is out of reach, it begins all the
        same.
        """
        self.need(symbol)
        try:
            line = self._lines[symbol]
            if not line.ready and self._tasks is not None:
                await self._wait_ready(line)
            yield
        finally:
            self.release(symbol)

    async def _wait_ready(self, line: _Line) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._lose_patience, tasks)
            await line.wait_ready()
            tasks.cancel_scope.cancel()

    async def _lose_patience(self, tasks: TaskGroup) -> None:
        await self._clock.sleep(self._patience)
        tasks.cancel_scope.cancel()

    async def _serve(self, line: _Line) -> None:
        await line.live.resume()
        while line.needs:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(line.live.keep_pace)
                for run in line.runs:
                    tasks.start_soon(run.keep)
                await line.wait_stale(self._clock, self._linger)
                for run in line.runs:
                    run.stop()
                tasks.cancel_scope.cancel()
            # Who has come while they were being stopped needs them again.
        line.served = False
