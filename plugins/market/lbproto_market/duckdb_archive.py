"""Candles in a file of DuckDB's: exact, compact, for one server.

Theory of operation. What closes is put into a backlog in memory, where a newer state of a candle
takes the older one's place. One task takes what waits, every `flush_every` seconds or when
somebody wants to read, and has a worker thread commit it in one transaction. Whoever reads is
served by the same task afterwards, so that a reader sees all that was written before. A disk that
fails or is slow holds up this task and those who read; the live path only ever adds to the backlog.

Why DuckDB, and not Parquet files or SQLite. Measured with candles of a second, on one core of a
small virtual machine:

                          DuckDB               Parquet (zstd)         SQLite
    a candle              50 to 60 bytes       27 bytes               77 bytes
    a commit of 100       4 ms                 a file more            2 ms
    an amended candle     is replaced          rewrites its file      is replaced
    killed while writing  replays its log      needs a log of ours    replays its log
    adding up exactly     38 digits and more   as DuckDB reads it     in Python, row by row
    other processes       wait for the end     read along             read and write along

All are fast enough for a commit a second. Parquet files are half as big, but they would need a log
beside them, and compaction, and the newest state of a candle looked for in both: most of a
database. SQLite has no exact numbers of this length, so that putting venues together would be done
in Python. What DuckDB lacks is readers in other processes: for those there is
`COPY seconds TO 'seconds.parquet'`, once the server has stopped.

All resolutions are kept as they were told, and none is worked out from a finer one when asked for:
from a million candles of a second, those of days take 140 ms, and a year has 31 million of each
venue. The coarser ones add a third to the number of candles, and make every read one of at most
1,001 of each venue: about 30 ms. They also outlive the finer ones, see the arguments.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from functools import partial
from math import inf
from typing import Any, Generic, Self, TypeVar, cast

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup

from lbproto import Overloaded, UsageError
from lbproto_market.archive import ArchiveStatistics, Resumption
from lbproto_market.backlog import Backlog
from lbproto_market.bars import Bar
from lbproto_market.changes import Settled
from lbproto_market.duckdb_tables import Tables
from lbproto_market.resolutions import Resolution
from lbproto_market.trades import Trade

__all__ = ["DuckDBArchive"]

T = TypeVar("T")

logger = logging.getLogger(__name__)

_READERS = 64
"""How many may wait to be served."""

_LONGEST_PAUSE = 30.0
"""Seconds between two tries to write, at most, while the disk fails."""


class _Call(Generic[T]):
    """What somebody waits for.

    Args:
        work: done in the thread, once what waits to be written is.
        needs: whether it cannot be done where that has failed.
        patience: for how long its answer is waited for, in seconds.
    """

    def __init__(self, work: Callable[[], T], needs: Callable[[], bool], patience: float) -> None:
        self.work = work
        self.needs = needs
        self.patience = patience
        self.done = anyio.Event()
        self.given_up = False
        self.answer: T | None = None
        self.error: Exception | None = None


class DuckDBArchive:
    """Candles in a DuckDB file; needs the extra `parquet`.

    What is committed survives the end of the process and of the machine. A process that is killed
    loses what closed in the last `flush_every` seconds, which comes again with the trades that a
    feed delivers again; leaving writes all that waits. A file that is not there is made. It has to
    be on a disk of the machine, and one process has it at a time.

    Args:
        path: the file; one more beside it has its name with `.wal`.
        keep_seconds: for how long candles shorter than a minute are kept, of event time. A week
            by default: at 50 bytes a candle 40 MB for each symbol and venue traded every second.
        keep_minutes: for how long candles from a minute to four hours are kept. By default 400
            days: 45 MB for each symbol and venue that is traded every minute. Candles of a day and
            longer are kept for ever: 20 kB a year.
        remember: for how long trades are, so that one that is delivered again after a restart is
            not counted again; at 1 to 8 bytes a trade. A feed that delivers older ones again may
            not use an archive.
        flush_every: seconds between two commits, while there is something to commit.
        waiting: how many candles may wait for the disk, at about 1 kB of memory each; of more, the
            oldest are lost.
        waiting_trades: how many trades may.
        timeout: for how long a reader waits, in seconds, and leaving for what is to be written. Who
            resumes a market waits for as long as it takes.
        memory: how many MiB DuckDB may use.

    Raises:
        ValueError: a length of time or a number that makes no sense.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        keep_seconds: timedelta = timedelta(days=7),
        keep_minutes: timedelta = timedelta(days=400),
        remember: timedelta = timedelta(hours=1),
        flush_every: float = 1.0,
        waiting: int = 100_000,
        waiting_trades: int = 1_000_000,
        timeout: float = 10.0,
        memory: int = 256,
    ) -> None:
        if min(keep_seconds, keep_minutes, remember) <= timedelta():
            raise ValueError("what is kept is kept for longer than no time")
        if min(flush_every, timeout, waiting, waiting_trades, memory) <= 0:
            raise ValueError("seconds and sizes are above 0")
        keep_ms = {"seconds": _milliseconds(keep_seconds), "minutes": _milliseconds(keep_minutes)}
        self._path = os.fspath(path)
        self._tables = Tables(self._path, keep_ms, _milliseconds(remember), memory)
        self._backlog = Backlog(waiting, waiting_trades)
        self._flush_every = flush_every
        self._timeout = timeout
        self._tasks: TaskGroup | None = None
        self._scope: anyio.CancelScope
        self._called: anyio.Event
        self._calls: list[_Call[Any]] = []
        self._writing = 0
        self._written = 0
        self._left_out = 0
        self._failures = 0  # to write, one after the other
        self._told_lost = 0

    async def __aenter__(self) -> Self:
        if self._tasks is not None:
            raise UsageError(
                f"the archive {self._path!r} is open already: make one for each server"
            )
        try:
            await to_thread.run_sync(self._tables.open)
        except BaseException as error:
            self._tables.close()
            if isinstance(error, Exception) and not isinstance(error, UsageError):
                raise UsageError(f"the archive {self._path!r} cannot be read: {error}") from error
            raise
        self._called = anyio.Event()
        # Who cancels the host means what it does, and not what is on its way to the disk.
        self._scope = anyio.CancelScope(shield=True)
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._work)
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._tasks is None:
            return
        with anyio.CancelScope(shield=True):
            try:
                await self._answer(_Call(_nothing, _always, self._timeout))
            except Overloaded:
                waiting = self.statistics().waiting
                logger.error("archive %s: closed with %d candles unwritten", self._path, waiting)
        tasks, self._tasks = self._tasks, None
        self._scope.cancel()
        try:
            await tasks.__aexit__(None, None, None)
        finally:
            with anyio.move_on_after(self._timeout, shield=True):
                await to_thread.run_sync(self._tables.close, abandon_on_cancel=True)

    def write(
        self,
        symbol: str,
        now_ms: int,
        settled: Sequence[Settled] = (),
        trades: Sequence[Trade] = (),
    ) -> None:
        self._backlog.put(symbol, now_ms, settled, trades)

    async def read(
        self,
        symbol: str,
        venues: Collection[str],
        resolution: Resolution,
        begin_ms: int,
        end_ms: int,
        limit: int,
    ) -> list[Bar]:
        work = partial(
            self._tables.read, symbol, tuple(venues), resolution, begin_ms, end_ms, limit
        )

        def needs() -> bool:
            return self._backlog.holds(symbol, begin_ms, end_ms)

        return await self._ask(_Call(work, needs, self._timeout))

    async def resume(self, symbol: str, history: int) -> Resumption:
        work = partial(self._tables.resume, symbol, history)
        return await self._ask(_Call(work, _always, inf))

    async def flush(self) -> None:
        await self._ask(_Call(_nothing, _always, self._timeout))

    def statistics(self) -> ArchiveStatistics:
        return ArchiveStatistics(
            written=self._written,
            waiting=len(self._backlog) + self._writing,
            lost=self._backlog.lost + self._left_out,
            failing=self._failures > 0,
        )

    async def _ask(self, call: _Call[T]) -> T:
        if self._tasks is None:
            raise UsageError("the archive is not open: use it inside `async with`")
        if len(self._calls) >= _READERS:
            raise Overloaded("Too many ask for history at once; try again", retry_after=1)
        return await self._answer(call)

    async def _answer(self, call: _Call[T]) -> T:
        self._calls.append(call)
        self._called.set()
        with anyio.move_on_after(call.patience):
            try:
                await call.done.wait()
            finally:
                call.given_up = not call.done.is_set()
        if call.given_up:
            raise Overloaded("History takes too long to be read; try again", retry_after=5)
        if call.error is not None:
            doing = "written" if call.work is _nothing else "read"
            reason = f"History cannot be {doing} now; try again"
            raise Overloaded(reason, retry_after=5) from call.error
        return cast(T, call.answer)

    async def _work(self) -> None:
        with self._scope:
            while True:
                if not self._calls:
                    with anyio.move_on_after(self._pause()):
                        await self._called.wait()
                self._called = anyio.Event()
                calls, self._calls = self._calls, []
                # For a later moment alone a commit is too much, unless somebody wants all written.
                all_ = any(call.work is _nothing for call in calls)
                idle = self._backlog.is_empty() if all_ else not self._backlog
                failure = None if idle else await self._commit()
                for call in calls:
                    if not call.given_up:
                        await self._serve(call, failure)
                    call.done.set()

    def _pause(self) -> float:
        return min(self._flush_every * 2.0 ** min(self._failures, 10), _LONGEST_PAUSE)

    async def _commit(self) -> Exception | None:
        """Write what waits; the error, if that failed."""
        batch = self._backlog.take()
        self._writing = len(batch.bars)
        failure = None
        try:
            left_out = await to_thread.run_sync(self._tables.commit, batch, abandon_on_cancel=True)
        except Exception as error:
            failure = error
            self._backlog.put_back(batch)
            if not self._failures:
                logger.error("archive %s: cannot be written", self._path, exc_info=error)
            self._failures += 1
        else:
            if self._failures:
                logger.warning("archive %s: is written again", self._path)
            self._failures = 0
            self._left_out += left_out
            self._written += len(batch.bars) - left_out
        self._writing = 0
        self._tell_lost()
        return failure

    def _tell_lost(self) -> None:
        lost = self._backlog.lost + self._left_out
        if lost >= max(1, 2 * self._told_lost):  # often enough to be seen, and no flood
            self._told_lost = lost
            logger.error("archive %s: %d candles are lost since it was opened", self._path, lost)

    async def _serve(self, call: _Call[Any], failure: Exception | None) -> None:
        if failure is not None and call.needs():
            call.error = failure
            return
        try:
            call.answer = await to_thread.run_sync(call.work, abandon_on_cancel=True)
        except Exception as error:
            logger.exception("archive %s: cannot be read", self._path)
            call.error = error


def _milliseconds(length: timedelta) -> int:
    return length // timedelta(milliseconds=1)


def _nothing() -> None:
    """What is left to do for somebody who waits for others' candles to be written."""


def _always() -> bool:
    return True
