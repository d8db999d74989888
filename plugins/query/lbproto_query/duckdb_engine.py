"""DuckDB behind the port: a worker for each application that asks."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Self

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup

from lbproto import Overloaded, UsageError
from lbproto_query.catalogues import Catalogue, Catalogues
from lbproto_query.engines import QueryRequest, Stream
from lbproto_query.estimates import History, Pace
from lbproto_query.hosts import ProcessHost, ThreadHost
from lbproto_query.sizes import check_size
from lbproto_query.workers import Worker, WorkerLimits

__all__ = ["DuckDBEngine"]


class DuckDBEngine:
    """Runs queries on files: Parquet, CSV, DuckDB.

    Each application has a worker of its own, which is started by its first query and stopped when
    there were none for a while. One that dies is started anew by the next query; what it was doing
    is refused with `Overloaded`. The files are looked at with every query: where they have
    changed, a new worker takes over, and the old one stops when its queries have ended.

    Args:
        catalogues: where applications' files are.
        isolated: in processes under the system's limits; else in threads of this process, for SQL
            that is trusted: memory and time are bounded by DuckDB alone.
        memory: bytes that DuckDB may use in one worker, for all of its queries; the process may
            have a GiB of addresses more, and two while it opens its files.
        threads: that DuckDB may use in one worker.
        queries: of one application that run at once; more are refused with `Overloaded`.
        workers: at once; more are refused with `Overloaded`, unless one is idle.
        idle: seconds without a query after which a worker is stopped.
        start: seconds that opening a catalogue may take.
        grace: seconds that a worker may take to react, then it is killed.
    """

    def __init__(
        self,
        catalogues: Catalogues,
        *,
        isolated: bool = True,
        memory: int = 512 * 1024 * 1024,
        threads: int = 2,
        queries: int = 8,
        workers: int = 16,
        idle: float = 300.0,
        start: float = 30.0,
        grace: float = 2.0,
    ) -> None:
        self._catalogues = catalogues
        self._host = ProcessHost if isolated else ThreadHost
        self._memory = memory
        self._threads = threads
        self._most = workers
        self._limits = WorkerLimits(queries, idle, start, grace)
        self._workers: dict[str, Worker] = {}
        self._alive: set[Worker] = set()
        self._history = History()
        self._paces: dict[str, Pace] = {}  # one of each catalogue that was ever asked
        self._tasks: TaskGroup | None = None

    async def __aenter__(self) -> Self:
        self._tasks = await anyio.create_task_group().__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        tasks, self._tasks = self._tasks, None
        if tasks is not None:
            for worker in self._alive:
                worker.stop()
            # Of what came of the body it is told nothing: that is the caller's as it is.
            await tasks.__aexit__(None, None, None)

    @property
    def worker_count(self) -> int:
        """How many workers there are, those that are about to stop included."""
        return len(self._alive)

    @asynccontextmanager
    async def query(self, request: QueryRequest) -> AsyncGenerator[Stream]:
        """See `Engine.query`."""
        if self._tasks is None:
            raise UsageError("Enter the DuckDBEngine (`async with`) before it is used")
        check_size(request)
        catalogue = await to_thread.run_sync(self._catalogues.find, request.application_id)
        if self._tasks is None:
            raise UsageError("The DuckDBEngine was left")
        worker = self._worker(catalogue, self._tasks)
        estimate = self._history.estimate(request.application_id, request.sql)
        pace = self._paces.setdefault(request.application_id, Pace())
        stream = await worker.open(request, estimate, pace)
        try:
            yield stream
        finally:
            if stream.outcome is not None:
                seconds = stream.outcome.seconds
                self._history.note(request.application_id, request.sql, seconds)
                pace.note(stream.work, seconds)
            elif self._tasks is not None:
                worker.abandon(stream, self._tasks)

    def _worker(self, catalogue: Catalogue, tasks: TaskGroup) -> Worker:
        worker = self._workers.get(catalogue.application_id)
        if worker is not None:
            if not worker.closed and worker.catalogue.version == catalogue.version:
                return worker
            worker.retire()
        needed = [each for each in self._alive if not (each.closed and each.is_idle)]
        if len(needed) >= self._most:
            idle = [each for each in needed if each.is_idle]
            if not idle:
                message = "Too many applications run queries at once; try again"
                raise Overloaded(message, retry_after=1)
            idle[0].retire()
        worker = Worker(self._host(self._memory, self._threads), catalogue, self._limits)
        self._workers[catalogue.application_id] = worker
        self._alive.add(worker)
        tasks.start_soon(self._keep, worker)
        return worker

    async def _keep(self, worker: Worker) -> None:
        try:
            await worker.run()
        finally:
            self._alive.discard(worker)
            if self._workers.get(worker.catalogue.application_id) is worker:
                del self._workers[worker.catalogue.application_id]
