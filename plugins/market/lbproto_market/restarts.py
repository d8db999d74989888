"""One feed of one symbol: run, and run again whenever it dies.

Theory of operation. What has died is tried again after a second, then after two, four, and so on,
at most a minute, each time a random part earlier, so that many do not come back in one moment. An
outage begins when the feed dies and is over once it has run for a while again: until then it is
told once, however often it is tried.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from math import ceil
from random import Random

import anyio

from lbproto import Clock
from lbproto_market.feeds import Feed
from lbproto_market.live import Live
from lbproto_market.outages import Outage

__all__ = ["Restarts"]

logger = logging.getLogger(__name__)

_FIRST_DELAY = 1.0
_LONGEST_DELAY = 60.0
_STEADY = 10.0  # seconds that a feed has to run before it counts as back


class Restarts:
    """Keeps one feed running for one symbol.

    Args:
        feed: what to run.
        symbol: what for.
        live: takes the trades.
        clock: for every wait.
        tell: takes the news of each outage.
        random: spreads the attempts.
    """

    def __init__(
        self,
        feed: Feed,
        symbol: str,
        live: Live,
        clock: Clock,
        tell: Callable[[Outage], None],
        random: Random,
    ) -> None:
        self._feed = feed
        self._symbol = symbol
        self._live = live
        self._clock = clock
        self._tell = tell
        self._random = random
        self._attempts = 0
        self._failing_since: float | None = None
        self._started_at: float | None = None
        self._ready = anyio.Event()
        self.outage: Outage | None = None
        """What was told last of its being out; None while it is not."""
        self.ended = False
        """Whether it has come to its end by itself: there is nothing more to run."""

    @property
    def live(self) -> bool:
        """Whether it runs just now, with its history put in."""
        return self._started_at is not None

    @property
    def ready(self) -> bool:
        """Whether there is nothing to wait for."""
        return self._ready.is_set()

    async def wait_ready(self) -> None:
        """Wait until its history is in, or it is known that this takes a while."""
        await self._ready.wait()

    def started(self, value: None = None) -> None:  # noqa: ARG002 - the signature of a task status
        """Take the word of the feed that its history is in."""
        self._started_at = self._clock.monotonic()
        self.outage = None
        self._live.catch_up()
        self._ready.set()
        if self._failing_since is not None:
            outage = self._started_at - self._failing_since
            logger.info("%s: %s is back after %.0f s", self._feed.label, self._symbol, outage)

    async def keep(self) -> None:
        """Run the feed until it comes to its end or this is cancelled."""
        self._attempts, self._failing_since = 0, None
        try:
            while not self.ended:
                failure = await self._run()
                if failure is not None:
                    delay = self._died(failure)
                    self._ready.set()
                    await self._clock.sleep(delay)
            self._ready.set()
        finally:
            self._started_at = self.outage = None

    def stop(self) -> None:
        """Be about to be cancelled: who comes from now on waits until it has begun anew."""
        if not self.ended:
            self._ready = anyio.Event()

    async def _run(self) -> BaseException | None:
        """Run the feed once; why it has died, or None where it has come to its end."""
        try:
            await self._feed.run(self._symbol, self._live, self._clock, task_status=self)
        except Exception as failure:  # noqa: BLE001 - told, and tried again
            return failure
        except anyio.get_cancelled_exc_class() as cancelled:
            # A library may cancel what its caller waits for: only a cancellation of ours holds for
            # what comes next too.
            if anyio.current_effective_deadline() == float("-inf"):
                raise
            return cancelled
        self.ended = True
        return None

    def _died(self, failure: BaseException) -> float:
        """Count a failure and say so; returns how long to wait, in seconds."""
        now, started, self._started_at = self._clock.monotonic(), self._started_at, None
        if started is not None and now - started >= _STEADY:
            self._attempts, self._failing_since = 0, None
        longest = min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** min(self._attempts, 10))
        delay = longest * self._random.uniform(0.5, 1.0)
        self._attempts += 1
        self.outage = Outage(self._symbol, self._feed.label, ceil(delay))
        if self._failing_since is not None:
            logger.info(
                "%s: %s has failed again (%r), trying in %.1f s",
                *(self._feed.label, self._symbol, failure, delay),
            )
            return delay
        self._failing_since = now
        logger.warning(
            "%s: %s has failed, and its charts stand still. It is tried again in %.1f s, and from "
            "then on until it is back. If that does not help, see whether the source works and "
            "this machine reaches it: %r",
            *(self._feed.label, self._symbol, delay, failure),
            exc_info=failure,
        )
        self._tell(self.outage)
        return delay
