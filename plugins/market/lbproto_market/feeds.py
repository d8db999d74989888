"""The port behind which trades come from: a recording, a simulator, an exchange."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus

from lbproto import Clock
from lbproto_market.trades import Trade

__all__ = ["Feed", "Sink"]


class Sink(Protocol):
    """Where a feed puts its trades. Both methods are synchronous and never wait."""

    def add(self, symbol: str, trades: Sequence[Trade]) -> None:
        """Hand over trades of one of the feed's symbols; each trade once, best in order of time.

        A trade that comes late is counted all the same: it amends its candle.
        """
        ...

    def advance(self, milliseconds: int) -> None:
        """Say how far event time has come (Unix milliseconds): no earlier trade is expected.

        This closes the candles that end by then. Without it, a candle is open until the next trade.
        """
        ...


class Feed(Protocol):
    """A source of trades."""

    @property
    def label(self) -> str:
        """What this is, in a few words for a person: live, recorded or simulated, and of what."""
        ...

    @property
    def symbols(self) -> Collection[str]:
        """The symbols it has; without a colon in them, as that parts a room's name."""
        ...

    @property
    def venues(self) -> Collection[str]:
        """Where they are traded; each trade names one of these."""
        ...

    async def run(
        self, sink: Sink, clock: Clock, *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED
    ) -> None:
        """Put trades into the sink until there are no more; runs in one task, until cancelled.

        Call `advance` at least once a second of event time, also while nothing is traded. All time
        comes from `clock`.

        Args:
            sink: takes the trades.
            clock: for what is now, and for every wait.
            task_status: to be called once what there is of history has been put in. What is put in
                before is not announced to anyone, as nobody can be listening yet.
        """
        ...
