"""One query: a thread of its own, from its text to its last message.

Theory of operation. Rows leave when there is room: the engine gives a window of chunks and one more
for each that was taken. Without room the thread waits and fetches nothing, so that DuckDB's stream,
which is bounded itself, stands still. Time is counted only while the thread works; how long it may
wait is bounded apart.

Whoever ends a query sets `reason` and interrupts. An interrupt can come before there is anything to
interrupt, so the worker repeats it until the thread has ended.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Condition
from time import monotonic, time_ns

import duckdb
import msgspec

from lbproto_query_worker.database import Database
from lbproto_query_worker.frames import (
    Broken,
    Chunk,
    Described,
    Ended,
    FromWorker,
    Open,
    Progressed,
    Refused,
    Traced,
)
from lbproto_query_worker.plans import Plan
from lbproto_query_worker.refusals import OUT_OF_MEMORY, Refusal, is_broken, is_memory, refusal_of

__all__ = ["Query"]

logger = logging.getLogger(__name__)

_MAX_ROWS = 4096  # fetched at once: two of DuckDB's vectors

CANCELLED = Refusal("CANCELLED", "The query was cancelled")
TIMED_OUT = Refusal("TIMEOUT", "The query took longer than it may")
NOT_READ = Refusal("TIMEOUT", "The query's rows were not read in time")


class Query:
    """Runs what `request` asks for.

    Args:
        request: the query and its limits.
        send: takes messages, from any thread.
    """

    def __init__(self, request: Open, send: Callable[[FromWorker], None]) -> None:
        self.request = request
        self.reason: Refusal | None = None
        """Why it has to end, if it has to."""
        self.broke = False
        """It has left a DuckDB that does nothing any more."""
        self.deadline = monotonic() + request.seconds
        """When it has to have ended, as long as nothing changes."""
        self._send = send
        self._room = Condition()
        self._window = request.window
        self._waiting_since: float | None = None
        self._waited = 0.0
        self._started = monotonic()
        self._began = time_ns()
        self._planned_after = 0.0
        self._cursor: duckdb.DuckDBPyConnection | None = None
        self._scanned = 0
        self._silent = True  # no rows were sent yet

    def run(self, database: Database) -> None:
        """All of it, in the thread that calls; sends exactly one last message."""
        id_ = self.request.id
        try:
            plan = self._planned(database)
            rows, truncated = database.turns.run(
                lambda: self._run(database, plan), self._check_reason
            )
            last: FromWorker = Ended(id_, rows, truncated, self._worked())
        except BaseException as error:
            if is_broken(error):
                self.broke = True
                self._send(Broken())
            refusal = self.reason or refusal_of(error, database.files)
            if refusal.code == "INTERNAL":
                logger.exception("a query has failed%s", self._shown_trace())
            last = Refused(id_, refusal.code, refusal.message)
        if self.request.trace is not None:
            self._send(
                Traced(id_, os.getpid(), self._began, time_ns(), self._planned_after, self._waited)
            )
        self._send(last)

    def _shown_trace(self) -> str:
        trace = self.request.trace
        return "" if trace is None else f" in the trace {trace.split('-')[1]}"

    def pulled(self) -> None:
        """One chunk more may be sent."""
        with self._room:
            self._window += 1
            self._room.notify()

    def end(self, reason: Refusal) -> None:
        """Have it end; may be called again, which repeats the interrupt."""
        with self._room:
            self.reason = self.reason or reason
            self._room.notify()
        cursor = self._cursor
        if cursor is not None:
            with suppress(duckdb.Error):
                cursor.interrupt()

    def is_late(self, now: float) -> bool:
        """Whether its time is over."""
        with self._room:
            return self._waiting_since is None and now >= self.deadline

    def tell_progress(self) -> None:
        """Send how far it is, unless rows say so."""
        cursor = self._cursor
        if cursor is None or not self._silent:
            return
        try:
            pct = cursor.query_progress()
        except duckdb.Error:
            return
        if 0 < pct <= 100:
            self._send(Progressed(self.request.id, int(self._scanned * pct / 100), pct))

    @contextmanager
    def _connected(self, database: Database) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection of its own, which can be interrupted meanwhile."""
        self._cursor = cursor = database.cursor()
        try:
            self._check_reason()
            yield cursor
        finally:
            self._cursor = None
            with suppress(duckdb.Error):
                cursor.abort()
            with suppress(duckdb.Error):
                cursor.close()

    def _planned(self, database: Database) -> Plan:
        with self._connected(database) as cursor:
            plan = database.plans.find(cursor, self.request)
        self._scanned = plan.scanned
        self._planned_after = self._worked()
        self._send(Described(self.request.id, plan.columns, plan.work))
        return plan

    def _run(self, database: Database, plan: Plan) -> tuple[int, bool]:
        with self._connected(database) as cursor:
            try:
                cursor.execute(plan.text, self.request.params or None)
                return self._send_rows(cursor)
            except Exception as error:
                if is_memory(error) and not self._silent:
                    raise OUT_OF_MEMORY from error  # which is not a reason to begin again
                raise

    def _send_rows(self, cursor: duckdb.DuckDBPyConnection) -> tuple[int, bool]:
        request = self.request
        total, size, count = 0, 0, 1
        parts: list[str] = []
        while True:
            self._check_reason()
            fetched = cursor.fetchmany(count)
            for (row,) in fetched:
                if total == request.rows:
                    self._send_last(parts, total)
                    return total, True
                if _is_longer(row, request.row_bytes):
                    raise Refusal(
                        "LIMIT_EXCEEDED", f"A row has more than {request.row_bytes} bytes"
                    )
                parts.append(row)
                total += 1
                size += len(row)
                if size >= request.chunk_bytes:
                    self._send_chunk(parts)
                    parts, size = [], 0
            if not fetched:
                self._send_last(parts, total)
                return total, False
            average = sum(len(row) for (row,) in fetched) // len(fetched)
            count = max(1, min(_MAX_ROWS, (request.chunk_bytes - size) // max(1, average) + 1))

    def _send_last(self, rows: list[str], total: int) -> None:
        if rows or not total:  # a result without rows is told, too
            self._send_chunk(rows)

    def _send_chunk(self, rows: list[str]) -> None:
        data = f"[{','.join(rows)}]".encode()
        if self.request.msgpack:
            data = msgspec.msgpack.encode(msgspec.json.decode(data))
        self._wait_for_room()
        self._silent = False
        self._send(Chunk(self.request.id, len(rows), data))

    def _wait_for_room(self) -> None:
        with self._room:
            if not self._window:
                began = self._waiting_since = monotonic()
                self._room.wait_for(lambda: self._window or self.reason, self.request.patience)
                waited = monotonic() - began
                self._waited += waited
                self.deadline += waited
                self._waiting_since = None
                if not self._window:
                    self.reason = self.reason or NOT_READ
            self._check_reason()
            self._window -= 1

    def _worked(self) -> float:
        return monotonic() - self._started - self._waited

    def _check_reason(self) -> None:
        if self.reason is not None:
            raise self.reason


def _is_longer(row: str, most: int) -> bool:
    return len(row) * 4 > most and len(row.encode()) > most
