"""The port behind which closed candles outlive memory and the process."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self

from lbproto_market.bars import Bar
from lbproto_market.changes import Settled
from lbproto_market.resolutions import Resolution
from lbproto_market.trades import Trade

__all__ = ["Archive", "ArchiveStatistics", "Resumption", "Seen"]


class Seen(NamedTuple):
    """Which trades of a venue were counted in."""

    mark: int
    """Those of lower ids are taken for counted: nobody remembers."""
    ids: list[int]
    """And these, ascending."""


class Resumption(NamedTuple):
    """What a market goes on with after a restart; empty where nothing was kept of it."""

    now_ms: int
    """How far event time had come, Unix milliseconds; 0 if nothing is known."""
    bars: list[Settled]
    """The newest of every venue and resolution, each chart's oldest first; what was open too."""
    seen: dict[str, Seen]
    """By venue: the trades that were counted in."""


@dataclass(frozen=True, slots=True)
class ArchiveStatistics:
    """How an archive is.

    Attributes:
        written: candles committed since it was opened; one that was amended counts again.
        waiting: candles that wait for the disk.
        lost: candles that were given up, since it was opened: the disk failed, or was too slow.
        failing: whether the last try to write failed.
    """

    written: int = 0
    waiting: int = 0
    lost: int = 0
    failing: bool = False


class Archive(Protocol):
    """Closed candles, kept for as long as they are wanted.

    It is entered before its first use and left after its last; leaving writes what waits. All calls
    come from the event loop it was entered in.
    """

    async def __aenter__(self) -> Self:
        """Open it.

        Raises:
            UsageError: it cannot be opened; the message says what to do.
        """
        ...

    async def __aexit__(self, *error: object) -> None: ...

    def write(
        self,
        symbol: str,
        now_ms: int,
        settled: Sequence[Settled] = (),
        trades: Sequence[Trade] = (),
    ) -> None:
        """Keep what a market has changed; returns at once, never waits and never raises.

        Every candle replaces what was known of its opening, so to say it again changes nothing.
        What cannot be kept is lost, and that is told in the log and counted.

        Args:
            symbol: of which market.
            now_ms: how far its event time has come.
            settled: candles that have closed or were amended, and when the market stops, the open
                ones of the finest resolution.
            trades: those that were counted in for the first time. A trade is remembered together
                with its candle, so that a restart neither loses nor repeats it.
        """
        ...

    async def read(
        self,
        symbol: str,
        venues: Collection[str],
        resolution: Resolution,
        begin_ms: int,
        end_ms: int,
        limit: int,
    ) -> list[Bar]:
        """The newest candles that open in [begin, end) Unix milliseconds, oldest first.

        Args:
            symbol: of which market; of one that is not known there are none.
            venues: whose trades, consolidated.
            resolution: of what length.
            begin_ms: the first moment.
            end_ms: the moment after the last.
            limit: how many at most, 1 to 1,001: one more than an answer holds tells that there are
                more.

        Raises:
            Overloaded: it cannot be read now, too many ask at once, or it takes too long.
        """
        ...

    async def resume(self, symbol: str, history: int) -> Resumption:
        """What a market needs to go on as if it had not stopped; waits for as long as it takes.

        Args:
            symbol: of which market.
            history: how many closed candles of each venue and resolution are wanted.

        Raises:
            Overloaded: it cannot be read now, or too many ask at once.
        """
        ...

    async def flush(self) -> None:
        """Return once all that was written until now is on the disk.

        Raises:
            Overloaded: it cannot be written now, and is tried again later.
        """
        ...

    def statistics(self) -> ArchiveStatistics:
        """How it is now."""
        ...
