"""The port behind which queries are run: DuckDB in a worker process, DuckDB here, a server."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, Self, TypeAlias

import msgspec

from lbproto import Trace
from lbproto_query_worker.frames import Column

__all__ = ["Column", "Engine", "Limits", "Outcome", "Progress", "QueryRequest", "Rows", "Stream"]

Params: TypeAlias = list[Any] | dict[str, Any]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one query may take.

    Args:
        seconds: of work, then it is refused with `TIMEOUT`; waiting to be read does not count.
        patience: seconds that it waits to be read, then it is refused with `TIMEOUT`.
        rows: of its result; what is more is left out, and the result is `truncated`.
        row_bytes: of one encoded row, else it is refused with `LIMIT_EXCEEDED`.
    """

    seconds: float = 30.0
    patience: float = 60.0
    rows: int = 10_000_000
    row_bytes: int = 512 * 1024


class QueryRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One query of an application's catalogue; all but `trace` may come from a client as it is.

    Args:
        application_id: whose catalogue.
        sql: one statement that reads.
        params: a list for `?` and `$1`, an object for `$name`.
        arrays: rows as arrays, in the order of the columns, where else they are objects.
        msgpack: rows encoded as MessagePack, where else they are JSON.
        limits: what it may take.
        trace: the span that it is part of; None where nobody records it.
    """

    application_id: str
    sql: str
    params: Params = []
    arrays: bool = False
    msgpack: bool = False
    limits: Limits = Limits()
    trace: Trace | None = None


class Progress(msgspec.Struct, frozen=True):
    """How far a query is that has no rows yet: rows read, as estimated, and per cent."""

    rows: int
    pct: float


class Rows(msgspec.Struct, frozen=True):
    """Some rows, about 64 KiB: `data` is one encoded array of `count` rows."""

    count: int
    data: bytes


class Outcome(msgspec.Struct, frozen=True):
    """How a query ended that did: its rows, whether there were more, and its seconds of work."""

    rows: int
    truncated: bool
    seconds: float


class Stream(Protocol):
    """A query under way: iterate over it for progress, then rows; there is `Rows` at least once.

    Rows are made as they are asked for, some chunks ahead. What the query is refused with is raised
    where it is iterated over, a `RequestError` always.
    """

    @property
    def estimated_ms(self) -> int | None:
        """How long it is thought to take, in milliseconds."""
        ...

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns; there once it is `described`, and so before the first `Rows`."""
        ...

    async def described(self) -> None:
        """Wait until the engine has looked at it, and is about to run it.

        Raises:
            RequestError: it is refused.
        """
        ...

    @property
    def outcome(self) -> Outcome | None:
        """How it ended, once it has been iterated over to the end."""
        ...

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> Progress | Rows: ...


class Engine(Protocol):
    """Runs queries; an async context manager, entered and left by one task."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *error: object) -> None: ...

    def query(self, request: QueryRequest) -> AbstractAsyncContextManager[Stream]:
        """Begin a query; leaving the context before its end cancels it, without waiting for that.

        Entering raises a `RequestError`: `NotFound` (no such catalogue), `LimitExceeded` (text or
        parameters too large), `Overloaded` (too many queries, or what runs them is out of reach).
        """
        ...
