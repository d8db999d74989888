"""PostgreSQL behind the port; needs `lbproto-query[postgres]`.

Theory of operation. A query is prepared, which runs nothing, for its columns; then it is put in
brackets, where PostgreSQL takes nothing but what reads, and a cursor is opened on it in a
transaction that can only read. What it may read is the role's business. The rows are JSON already;
they are fetched as they are asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from time import monotonic
from typing import Any, Self, TypeAlias, TypeVar

import anyio
import asyncpg
import msgspec
from asyncpg import Record, exceptions
from asyncpg.pool import PoolConnectionProxy
from asyncpg.transaction import Transaction

from lbproto import (
    InvalidRequest,
    LimitExceeded,
    NotFound,
    Overloaded,
    RequestError,
    RequestTimeout,
    Unauthorized,
    UsageError,
)
from lbproto.backends.bridge import Bridged
from lbproto_query.engines import Column, Outcome, Progress, QueryRequest, Rows, Stream
from lbproto_query.estimates import History
from lbproto_query.postgres_rows import described, wrapped
from lbproto_query.sizes import CHUNK_BYTES, check_size

__all__ = ["PostgresEngine"]

T = TypeVar("T")
Connection: TypeAlias = "PoolConnectionProxy[Record]"  # generic in its stubs only

_MAX_ROWS = 512  # fetched at once: they may all be as long as a row may be
_TIMED_OUT = "The query took longer than it may"
_MISSING = (
    exceptions.UndefinedTableError,
    exceptions.UndefinedColumnError,
    exceptions.UndefinedFunctionError,
    exceptions.UndefinedObjectError,
    exceptions.InvalidSchemaNameError,
)
_REFUSED = (
    exceptions.InsufficientPrivilegeError,
    exceptions.ReadOnlySQLTransactionError,
    exceptions.ActiveSQLTransactionError,
    exceptions.FeatureNotSupportedError,
)
_LARGE = (exceptions.ProgramLimitExceededError, exceptions.InsufficientResourcesError)
_LOST = (OSError, asyncpg.InterfaceError, exceptions.PostgresConnectionError)
_STOPPED = (exceptions.OperatorInterventionError, exceptions.CannotConnectNowError)


class PostgresEngine(Bridged):
    """Runs queries on databases, each application as a role of its own.

    What a query may read, call and use is what that role may: give it `SELECT` on the application's
    tables, membership in no other role, and limits. Writes are refused whatever it may. Parameters
    are a list (`$1`); an object is refused. There is no progress before the first rows.

    Args:
        urls: by application id: `postgresql://[user:password@]host:port/database`.
        queries: of one application that run at once; more are refused with `Overloaded`.
        timeout: seconds that connecting may take.
    """

    def __init__(self, urls: Mapping[str, str], *, queries: int = 8, timeout: float = 5.0) -> None:
        super().__init__()
        self._urls = dict(urls)
        self._queries = queries
        self._timeout = timeout
        self._pools: dict[str, asyncpg.Pool[Record]] = {}
        self._running: dict[str, int] = {}
        self._history = History()

    @asynccontextmanager
    async def query(self, request: QueryRequest) -> AsyncGenerator[Stream]:
        """See `Engine.query`."""
        check_size(request)
        id_ = request.application_id
        if id_ not in self._urls:
            raise NotFound("There is no catalogue for this application")
        if not isinstance(request.params, list):
            raise InvalidRequest("Parameters have to be a list, for `$1`")
        if self._running.get(id_, 0) >= self._queries:
            message = "Too many queries of this application run at once; try again"
            raise Overloaded(message, retry_after=1)
        self._running[id_] = self._running.get(id_, 0) + 1
        stream = _Stream(request, self._history.estimate(id_, request.sql), self._call)
        try:
            if id_ not in self._pools:
                raise UsageError("Enter the PostgresEngine (`async with`) before it is used")
            stream.connection = await _told(self._call(self._pools[id_].acquire))
            yield stream
        finally:
            self._running[id_] -= 1
            with anyio.CancelScope(shield=True):
                await self._call(self._give_back, stream)
            if stream.outcome is not None:
                self._history.note(id_, request.sql, stream.outcome.seconds)

    async def _open(self) -> None:
        for id_, url in self._urls.items():
            self._pools[id_] = await asyncpg.create_pool(
                url,
                min_size=0,
                max_size=self._queries,
                timeout=self._timeout,
                statement_cache_size=0,
                server_settings={
                    "application_name": "lbproto",
                    "default_transaction_read_only": "on",
                    "TimeZone": "UTC",
                },
            )

    async def _close(self) -> None:
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            pool.terminate()

    async def _give_back(self, stream: _Stream) -> None:
        connection = stream.connection
        if connection is None:
            return
        pool = self._pools[stream.request.application_id]
        try:
            async with asyncio.timeout(self._timeout), stream.lock:
                # One that was cancelled has told the server, and waits here for it to stop.
                if stream.transaction is not None:
                    await stream.transaction.rollback()
                await pool.release(connection)
        except (TimeoutError, *_LOST, asyncpg.PostgresError):
            connection.terminate()
            with suppress(*_LOST, asyncpg.PostgresError):
                await pool.release(connection)


class _Stream:
    """See `Stream`."""

    def __init__(
        self, request: QueryRequest, estimated_ms: int | None, call: Callable[..., Awaitable[Any]]
    ) -> None:
        self.request = request
        self.estimated_ms = estimated_ms
        self.columns: tuple[Column, ...] = ()
        self.outcome: Outcome | None = None
        self.connection: Connection | None = None
        self.transaction: Transaction | None = None
        self.lock = asyncio.Lock()
        """Of the connection: under trio, a command that was cancelled may still be unwinding."""
        self._call = call
        self._cursor: Any = None
        self._rows = 0
        self._average = CHUNK_BYTES  # bytes of a row
        self._worked = 0.0
        self._ended = False
        self._truncated = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Progress | Rows:
        if self._ended:
            self.outcome = Outcome(self._rows, self._truncated, self._worked)
            raise StopAsyncIteration
        await self.described()
        rows = await self._within_limits(self._next)
        data = f"[{','.join(rows)}]".encode()
        if self.request.msgpack:
            data = msgspec.msgpack.encode(msgspec.json.decode(data))
        self._rows += len(rows)
        return Rows(len(rows), data)

    async def described(self) -> None:
        """See `Stream.described`."""
        if self._cursor is None:
            self._cursor = await self._within_limits(self._begin)

    async def _within_limits(self, work: Callable[[], Awaitable[T]]) -> T:
        begin = monotonic()
        try:
            with anyio.fail_after(self.request.limits.seconds - self._worked):
                done: T = await _told(self._call(self._alone, work))
                return done
        except TimeoutError:
            raise RequestTimeout(_TIMED_OUT) from None
        finally:
            self._worked += monotonic() - begin

    async def _alone(self, work: Callable[[], Awaitable[T]]) -> T:
        async with self.lock:
            return await work()

    async def _next(self) -> list[str]:
        limits = self.request.limits
        rows: list[str] = []
        size = 0
        while size < CHUNK_BYTES and not self._ended:
            count = max(1, min(_MAX_ROWS, (CHUNK_BYTES - size) // self._average + 1))
            fetched = [row for (row,) in await self._cursor.fetch(count)]
            self._ended = len(fetched) < count
            room = limits.rows - self._rows - len(rows)
            if len(fetched) > room:
                self._ended = self._truncated = True
                fetched = fetched[:room]
            if any(len(row.encode()) > limits.row_bytes for row in fetched):
                raise LimitExceeded(f"A row has more than {limits.row_bytes} bytes")
            rows += fetched
            size += sum(map(len, fetched))
            self._average = max(1, size // max(1, len(rows)))
        return rows

    async def _begin(self) -> Any:
        connection = self.connection
        if connection is None:
            raise UsageError("The query's context was left")
        request = self.request
        milliseconds = round(request.limits.seconds * 1000)
        patience = round(request.limits.patience * 1000)
        transaction = connection.transaction(readonly=True)
        await transaction.start()
        self.transaction = transaction
        await connection.execute(f"SET LOCAL statement_timeout = {milliseconds}")
        await connection.execute(f"SET LOCAL idle_in_transaction_session_timeout = {patience}")
        attributes = (await connection.prepare(request.sql)).get_attributes()
        if not attributes:
            raise Unauthorized("Only one SELECT that reads is allowed")
        columns = described(attributes)
        sql = wrapped(
            _statement(request.sql), columns, request.arrays, request.limits.row_bytes + 1
        )
        try:
            prepared = await connection.prepare(sql)
        except exceptions.PostgresSyntaxError as error:
            raise Unauthorized("Only one SELECT that reads is allowed") from error
        self.columns = tuple(columns)
        return await prepared.cursor(*request.params)


def _statement(sql: str) -> str:
    return sql.rstrip().removesuffix(";")


async def _told(work: Awaitable[T]) -> T:
    """The result, or what the client is told of the error."""
    try:
        return await work
    except (RequestError, UsageError, TimeoutError):
        raise
    except exceptions.QueryCanceledError as error:
        raise RequestTimeout(_TIMED_OUT) from error
    except _MISSING as error:
        raise NotFound(_message(error)) from error
    except _REFUSED as error:
        raise Unauthorized("Only one SELECT of what may be read is allowed") from error
    except _LARGE as error:
        raise LimitExceeded("The query needs more than it may have") from error
    except (exceptions.DataError, asyncpg.InterfaceError, ValueError) as error:
        raise InvalidRequest(_message(error)) from error
    except (*_LOST, *_STOPPED) as error:
        raise Overloaded("The database cannot be reached; try again") from error
    except exceptions.PostgresSyntaxError as error:
        if "multiple commands" in str(error):
            raise Unauthorized("Only one statement is allowed") from error
        raise InvalidRequest(_message(error)) from error
    except asyncpg.PostgresError as error:
        raise InvalidRequest(_message(error)) from error


def _message(error: BaseException) -> str:
    return str(error).split("\n", 1)[0][:300]
