"""Accounts in PostgreSQL; needs `lbproto[postgres]`.

Theory of operation. An account is read, changed here, and written by one statement, which writes
only if nobody else has since: each write leaves a stamp, and the statement compares. So no
transaction is open while Python runs. Whoever has lost to another node once takes the lock of the
account's row first, so that nobody starves. A statement whose answer was lost is found out about by
its stamp, too.

The driver is asyncpg: its licence is Apache-2.0, where psycopg's is the LGPL, which lbproto does
not ask of its users; and its calls are asyncio's own, with a pool and timeouts, where those of
pg8000 would each take a thread that nothing interrupts. Under trio it is behind
`lbproto.backends.bridge`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from secrets import token_bytes
from typing import Any, TypeAlias, TypeVar

import msgspec

from lbproto.backends.bridge import Bridged
from lbproto.errors import Overloaded, UsageError
from lbproto.extras import extra
from lbproto.ledger.account import Account, Change, Kind, Movement, Outcome, Receipt, State
from lbproto.ledger.lanes import Batch, Lanes, Waiting, fold
from lbproto.ledger.store import LedgerStore

with extra("postgres", __name__):
    import asyncpg
    from asyncpg import Record, exceptions
    from asyncpg.pool import PoolConnectionProxy

    from lbproto.ledger.postgres_schema import migrate

__all__ = ["PostgresLedger"]

T = TypeVar("T")
Connection: TypeAlias = "PoolConnectionProxy[Record]"  # generic in its stubs only
Results = Sequence[Outcome[Any] | Exception]

_READ = """
SELECT stamp, state, ARRAY(
    SELECT receipt
    FROM unnest($3::text[]) WITH ORDINALITY AS asked (transaction_id, place)
    LEFT JOIN receipts ON account_id = id AND receipts.transaction_id = asked.transaction_id
    ORDER BY place
) AS receipts
FROM accounts WHERE application_id = $1 AND user_id = $2
"""

_LOCK = "SELECT FROM accounts WHERE application_id = $1 AND user_id = $2 FOR UPDATE"

_WRITE = """
WITH written AS (
    INSERT INTO accounts
        (application_id, user_id, stamp, state, balance, version, due_at)
    VALUES ($1, $2, $4, $5, $6, $7, $8)
    ON CONFLICT (application_id, user_id) DO UPDATE SET
        stamp = excluded.stamp, state = excluded.state, balance = excluded.balance,
        version = excluded.version, due_at = excluded.due_at
    WHERE accounts.stamp = $3
    RETURNING id
), moved AS (
    INSERT INTO movements
        (account_id, version, kind, amount, balance, earned, spent, reason, transaction_id, at)
    SELECT id, each.* FROM written, unnest(
        $9::bigint[], $10::text[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[],
        $15::text[], $16::text[], $17::bigint[]
    ) AS each
), noted AS (
    INSERT INTO receipts (account_id, transaction_id, receipt)
    SELECT id, each.* FROM written, unnest($18::text[], $19::bytea[]) AS each
    ON CONFLICT (account_id, transaction_id) DO UPDATE SET receipt = excluded.receipt
)
SELECT id FROM written
"""

_MOVEMENTS = """
SELECT movements.version, kind, amount, movements.balance, earned, spent, reason, transaction_id, at
FROM movements JOIN accounts ON accounts.id = account_id
WHERE application_id = $1 AND user_id = $2 AND ($3::bigint IS NULL OR movements.version < $3)
ORDER BY movements.version DESC LIMIT $4
"""

_DUE = "SELECT user_id, application_id FROM accounts WHERE due_at <= $1 ORDER BY due_at LIMIT $2"

_DURABLE = """
SELECT set_config('synchronous_commit', 'on', false)
WHERE current_setting('synchronous_commit') = 'off'
"""


class PostgresLedger(Bridged, LedgerStore):
    """Accounts in PostgreSQL 12 or later; shared by all nodes that use the same database.

    A commit is on the server's disk when it is answered, also where the server is set to
    `synchronous_commit = off`; on standbys as the server is set. On entering, the tables are made,
    or brought to this version. A trigger refuses to change movements.

    Between lbproto and the server may be a pooler of sessions, not one of transactions.

    To enter it raises `Overloaded` where the server cannot be reached, and `UsageError` where the
    URL is wrong, its user may not do what is needed, or the tables are of a later version.

    Args:
        url: `postgresql://[user:password@]host:port/database`, with libpq's options.
        schema: what the tables are in.
        timeout: for how long a command may take, in seconds.
        connections: how many are open at most; so many accounts are changed at once.
        waiting: how many commands may wait at once.
    """

    def __init__(
        self,
        url: str,
        *,
        schema: str = "lbproto",
        timeout: float = 5.0,
        connections: int = 8,
        waiting: int = 10_000,
    ) -> None:
        super().__init__()
        self._url = url
        self._schema = schema
        self._timeout = timeout
        self._connections = connections
        self._pool: asyncpg.Pool[Record] | None = None
        self._lanes = Lanes(self._commit, timeout, waiting, connections)

    async def transact(
        self, account: Account, transaction_id: str, change: Change[T]
    ) -> Outcome[T]:
        return await self._call(self._lanes.transact, account, transaction_id, change)

    async def movements(
        self, account: Account, before: int | None = None, limit: int = 100
    ) -> list[Movement]:
        async def read(connection: Connection) -> list[Movement]:
            found = await connection.fetch(_MOVEMENTS, *_name(account), before, max(0, limit))
            return [_movement(row) for row in found]

        return await self._call(self._reach, read, self._timeout)

    async def due(self, now: int, limit: int = 100) -> list[Account]:
        async def read(connection: Connection) -> list[Account]:
            found = await connection.fetch(_DUE, now, max(0, limit))
            return [Account(_told(user_id), _told(rest)) for user_id, rest in found]

        return await self._call(self._reach, read, self._timeout)

    async def _open(self) -> None:
        try:
            await self._connect()
        except _REFUSED as error:
            raise UsageError(f"PostgreSQL refuses the connection: {error}") from error

    async def _connect(self) -> None:
        milliseconds = str(round(self._timeout * 1000))
        quoted = self._schema.replace('"', '""')
        self._pool = await asyncpg.create_pool(
            self._url,
            min_size=0,
            max_size=self._connections,
            timeout=self._timeout,
            command_timeout=self._timeout,
            init=_make_durable,
            reset=_leave,
            server_settings={
                "application_name": "lbproto",
                "search_path": f'"{quoted}"',
                "default_transaction_isolation": "read committed",
                "statement_timeout": milliseconds,
                "idle_in_transaction_session_timeout": milliseconds,
            },
        )
        await self._reach(lambda connection: migrate(connection, self._schema))

    async def _close(self) -> None:
        await self._lanes.aclose()
        if self._pool is None:
            return
        try:
            await asyncio.wait_for(self._pool.close(), self._timeout)
        except (TimeoutError, *_LOST):
            self._pool.terminate()

    async def _commit(self, account: Account, waiting: Sequence[Waiting[Any]]) -> Results:
        ids = list(dict.fromkeys(each.transaction_id for each in waiting))
        kept_ids = list(map(_kept, ids))
        name = _name(account)
        stamp = token_bytes(8)
        results: Results = []

        async def attempt(connection: Connection) -> bool:
            """Whether there are results: nobody else has come between."""
            nonlocal results
            row = await connection.fetchrow(_READ, *name, kept_ids)
            found, before, known = b"", State(), dict[str, Receipt]()
            if row is not None:
                found, before, known = row[0], _STATE.decode(row[1]), _known(ids, row[2])
            if found == stamp:  # it was written, and the answer lost
                return True
            batch = fold(before, known, waiting)
            results = batch.results
            if not batch.is_change:
                return True
            written = await connection.fetchval(_WRITE, *name, found, stamp, *_written(batch))
            return written is not None

        async def commit(connection: Connection) -> Results:
            if not await attempt(connection):
                async with connection.transaction():
                    await connection.execute(_LOCK, *name)
                    await attempt(connection)  # nobody can come between
            return results

        return await self._reach(commit)

    async def _reach(
        self, work: Callable[[Connection], Awaitable[T]], patience: float | None = None
    ) -> T:
        """Do what may be done twice, and do so where the connection is lost.

        Args:
            patience: for how long a connection may be waited for, in seconds; commits have a slot.
        """
        if self._pool is None:
            raise UsageError("Enter the PostgresLedger (`async with`) before it is used")
        again = True
        while True:
            try:
                async with self._pool.acquire(timeout=patience) as connection:
                    return await work(connection)
            except _MISTAKES:
                raise
            except (TimeoutError, exceptions.QueryCanceledError) as error:
                message = "The credit store takes too long; try again"
                raise Overloaded(message, retry_after=1) from error
            except (
                exceptions.ReadOnlySQLTransactionError,
                exceptions.InsufficientResourcesError,
            ) as error:
                message = "The credit store takes no writes now; try again"
                raise Overloaded(message, retry_after=1) from error
            except _LOST as error:  # the server was restarted, say
                if not again:
                    message = "The credit store cannot be reached; try again"
                    raise Overloaded(message, retry_after=1) from error
                again = False
                await self._pool.expire_connections()


async def _make_durable(connection: asyncpg.Connection[Record]) -> None:
    await connection.execute(_DURABLE)


async def _leave(connection: asyncpg.Connection[Record]) -> None:
    """No session is ever changed, so none is reset: that would take a round trip."""


def _known(ids: Sequence[str], receipts: Sequence[bytes | None]) -> dict[str, Receipt]:
    pairs = zip(ids, receipts, strict=True)
    return {id_: _RECEIPT.decode(receipt) for id_, receipt in pairs if receipt is not None}


def _written(batch: Batch) -> list[Any]:
    """What `_WRITE` is given of what several changes come to."""
    state = batch.state
    rows = [
        (*msgspec.structs.astuple(one)[:6], _kept(one.reason), _kept(one.transaction_id), one.at)
        for one in batch.movements
    ]
    columns: list[Any] = [[row[place] for row in rows] for place in range(9)]
    receipts = [_encode(receipt) for receipt in batch.receipts.values()]
    kept = [_encode(state), state.balance, state.version, state.due_at]
    return [*kept, *columns, list(map(_kept, batch.receipts)), receipts]


def _movement(row: Record) -> Movement:
    version, kind, *figures, reason, transaction_id, at = row
    amount, balance, earned, spent = figures
    texts = _told(reason), _told(transaction_id)
    return Movement(version, Kind(kind), amount, balance, earned, spent, *texts, at)


def _name(account: Account) -> tuple[str, str]:
    return _kept(account.application_id), _kept(account.user_id)


def _kept(text: str) -> str:
    """A text as PostgreSQL keeps it: no text there has a NUL in it, and this one may."""
    return text.replace("\1", "\1\1").replace("\0", "\1\2")


def _told(text: str) -> str:
    return "\1".join(part.replace("\1\2", "\0") for part in text.split("\1\1"))


_LOST = (
    OSError,
    exceptions.InternalClientError,  # the server has said goodbye between two statements
    exceptions.PostgresConnectionError,
    exceptions.InterfaceError,
    exceptions.OperatorInterventionError,
    exceptions.TooManyConnectionsError,
    exceptions.IdleInTransactionSessionTimeoutError,
)
_MISTAKES = (exceptions.ClientConfigurationError, exceptions.DataError)
_REFUSED = (
    exceptions.ClientConfigurationError,
    exceptions.InvalidAuthorizationSpecificationError,
    exceptions.InvalidCatalogNameError,
    exceptions.InsufficientPrivilegeError,
)
_encode = msgspec.msgpack.Encoder().encode
_STATE = msgspec.msgpack.Decoder(State)
_RECEIPT = msgspec.msgpack.Decoder(Receipt)
