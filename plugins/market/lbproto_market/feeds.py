"""The port behind which trades come from: a recording, a simulator, an exchange."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus

from lbproto import Clock
from lbproto_market.trades import Trade

__all__ = ["Feed", "Sink"]


class Sink(Protocol):
    """Where a feed puts the trades of one symbol. Both methods are synchronous and never wait."""

    def add(self, trades: Collection[Trade], now_ms: int | None = None) -> None:
        """Hand over trades, best in order of time.

        One that comes late amends its candle. One that was handed over before (the same id at the
        same venue) is left out, so that a feed may begin again some way before where it broke off.
        One that is far ahead of the time is refused: a wrong clock must not close candles.

        Args:
            trades: of the sink's symbol.
            now_ms: what time it is where they were made, Unix milliseconds. None: what the clock
                says, or `advance` did if that is later.
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
    def symbols(self) -> Mapping[str, Collection[str]]:
        """What it has: each symbol, and the venues where that is traded.

        A symbol has no colon in it, as that parts a room's name, and at most 64 characters. No
        other feed of the same plugin has the symbol at the same venue.
        """
        ...

    async def check(self) -> None:
        """Raise what would keep it from ever running: called once, when the server starts.

        What may pass, as that an exchange is out of reach, is raised by `run`.
        """
        ...

    async def run(
        self,
        symbol: str,
        sink: Sink,
        clock: Clock,
        *,
        task_status: TaskStatus[None] = TASK_STATUS_IGNORED,
    ) -> None:
        """Put the trades of one symbol into its sink, until there are no more or it is cancelled.

        It is started when the first client needs the symbol and cancelled some time after the last
        one has left; later it may be started anew, and at any time it may run for several symbols.
        When it returns, the symbol has come to its end, and it is not started again. Whatever it
        raises is taken for a loss of its source: it is started again, after a while.

        Call `advance` at least once a second of event time, also while nothing is traded. All time
        comes from `clock`.

        Args:
            symbol: one of `symbols`.
            sink: takes the trades.
            clock: for what is now, and for every wait.
            task_status: to be called once what there is of history has been put in: who has asked
                for the symbol waits for that, for some seconds.
        """
        ...
