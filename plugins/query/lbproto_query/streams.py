"""A query that a worker runs, as the engine's side of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import time_ns
from typing import Self

import anyio

from lbproto import (
    Cancelled,
    Internal,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    Overloaded,
    RequestError,
    RequestTimeout,
    Trace,
    Unauthorized,
)
from lbproto_query.engines import Column, Outcome, Progress, Rows
from lbproto_query.estimates import Pace
from lbproto_query_worker.frames import (
    Chunk,
    Described,
    Ended,
    Progressed,
    Refused,
    Traced,
)

__all__ = ["WINDOW", "WorkerStream", "refused"]

WINDOW = 4
"""Chunks that are made ahead: what a query holds at most, here and there."""

_ERRORS: dict[str, type[RequestError]] = {
    str(each.code): each
    for each in (
        Cancelled,
        InvalidRequest,
        LimitExceeded,
        NotFound,
        RequestTimeout,
        Unauthorized,
        Overloaded,
    )
}


def refused(code: str, message: str) -> RequestError:
    """The error of a code; one that is not a query's own is `Internal`."""
    return _ERRORS.get(code, Internal)(message)


class WorkerStream:
    """What has come of a query and was not taken yet; see `Stream`.

    Args:
        estimated_ms: how long it is thought to take, if its like was seen before.
        pace: tells it by the plan else.
        most_ms: what it may take.
        pull: asks for one chunk more.
        patience: seconds without a word after which the worker is taken to hang.
        hung: called then.
        trace: what the worker's span is part of; None where nobody records it.
    """

    def __init__(
        self,
        estimated_ms: int | None,
        pace: Pace,
        most_ms: int,
        pull: Callable[[], None],
        patience: float,
        hung: Callable[[], None],
        trace: Trace | None = None,
    ) -> None:
        self.estimated_ms = estimated_ms
        self.columns: tuple[Column, ...] = ()
        self.outcome: Outcome | None = None
        self.ended = anyio.Event()
        """The worker has said its last word about it."""
        self.work = 0
        """How much its plan is, in rows, once it is `described`."""
        self._pace = pace
        self._most_ms = most_ms
        self._pull = pull
        self._patience = patience
        self._hung = hung
        self._trace = trace
        self._opened = time_ns()
        self._traced: Traced | None = None
        self._is_described = False
        self._parts: deque[Progress | Rows] = deque()  # at most a window of rows, and one progress
        self._error: RequestError | None = None
        self._last: Outcome | None = None
        self._news = anyio.Event()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Progress | Rows:
        while not self._parts:
            if self._error is not None:
                raise self._error
            if self._last is not None:
                self.outcome = self._last
                raise StopAsyncIteration
            await self._wait()
        part = self._parts.popleft()
        if isinstance(part, Rows):
            self._pull()
        return part

    async def described(self) -> None:
        """See `Stream.described`."""
        while not self._is_described:
            if self._error is not None:
                raise self._error
            await self._wait()

    async def _wait(self) -> None:
        """Wait for a word from the worker."""
        self._news = anyio.Event()
        with anyio.move_on_after(self._patience):
            await self._news.wait()
        if not self._news.is_set():
            self._hung()
            raise RequestTimeout("The query took longer than it may")

    def put(self, message: Progressed | Described | Chunk | Ended | Refused | Traced) -> None:
        """Take a message from the worker.

        Raises:
            ValueError: it has sent more than it was asked for.
        """
        if isinstance(message, Described):
            self.columns = tuple(message.columns)
            self.work = message.work
            if self.estimated_ms is None:
                self.estimated_ms = self._pace.estimate(self.work)
            if self.estimated_ms is not None:
                self.estimated_ms = min(self.estimated_ms, self._most_ms)
            self._is_described = True
        elif isinstance(message, Chunk):
            if len(self._parts) > WINDOW:
                raise ValueError("rows that nobody has asked for")
            self._parts.append(Rows(message.rows, message.data))
        elif isinstance(message, Progressed):
            if self._parts and isinstance(self._parts[-1], Progress):
                self._parts.pop()
            self._parts.append(Progress(message.rows, message.pct))
        elif isinstance(message, Traced):
            self._traced = message
        elif isinstance(message, Ended):
            self._record({"db.response.returned_rows": message.rows})
            self._last = Outcome(message.rows, message.truncated, message.seconds)
            self.ended.set()
        else:
            self._record({"error.type": message.code})
            self.fail(refused(message.code, message.message))
        self._news.set()

    def _record(self, outcome: dict[str, str | int | float]) -> None:
        """Add the worker's span to that of the request. It has no way to where spans go."""
        traced, now = self._traced, time_ns()
        if self._trace is None or traced is None:
            return
        # Whatever it says, it has done nothing before it was asked to, nor what is still to come.
        began = min(max(traced.began, self._opened), now)
        attributes: dict[str, str | int | float] = {
            "db.system.name": "duckdb",
            "process.pid": traced.pid,
            "lbproto.query.planned": traced.planned,
            "lbproto.query.waited": traced.waited,
        }
        ended = min(max(traced.ended, began), now)
        self._trace.add("query worker", began, ended, attributes | outcome)

    def fail(self, error: RequestError) -> None:
        """End it by an error, which is raised after what came before."""
        if not self.ended.is_set():
            self._error = error
            self.ended.set()
            self._news.set()
