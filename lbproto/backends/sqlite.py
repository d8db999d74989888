"""Records in a file: durable, for one machine; needs nothing but the standard library.

How it works is said at `lbproto.backends.sqlite_file`.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from lbproto.backends.base import MAX_CHILDREN, Storage, divided
from lbproto.backends.sqlite_calls import Command, Reading
from lbproto.backends.sqlite_file import SQLiteFile
from lbproto.backends.sqlite_schema import Schema, connect
from lbproto.clock import Clock, SystemClock

__all__ = ["SQLiteStorage"]

T = TypeVar("T")

_SCHEMA = Schema(
    "storage",
    0x6C627073,  # `lbps`
    (
        (
            """
            CREATE TABLE records (
                folder TEXT NOT NULL, -- the key up to its last "/", with that
                name TEXT NOT NULL, -- the rest
                value BLOB NOT NULL,
                expires REAL, -- seconds since the Unix epoch
                PRIMARY KEY (folder, name)
            )
            """,
            "CREATE INDEX records_expire ON records (expires) WHERE expires IS NOT NULL",
        ),
    ),
)

_GET = """
SELECT value, expires FROM records
WHERE folder = ? AND name = ? AND (expires IS NULL OR expires > ?)
"""
_PUT = "INSERT OR REPLACE INTO records (folder, name, value, expires) VALUES (?, ?, ?, ?)"
_DELETE = "DELETE FROM records WHERE folder = ? AND name = ?"
_CHILDREN = f"""
SELECT name, value FROM records
WHERE folder = ? AND (expires IS NULL OR expires > ?) LIMIT {MAX_CHILDREN}
"""  # noqa: S608 - a number of ours
_SWEEP = """
DELETE FROM records WHERE rowid IN (SELECT rowid FROM records WHERE expires <= ? LIMIT 100)
"""


class SQLiteStorage(SQLiteFile, Storage):
    """Records in a SQLite file.

    What is written is on the disk when the call returns: it survives the end of the process, of the
    operating system, and of the power, as far as the disk keeps its promises.

    Entering raises `UsageError` where the file cannot be opened, holds something else, or was
    written by a later version; one that is not there is made. Leaving answers everybody first. All
    calls are made from the event loop that it was entered in.

    Args:
        path: the file; two more beside it have its name with `-wal` and `-shm`.
        clock: what times to live are measured by: its wall time, since they outlive the process.
        waiting: how many calls may wait at once; more are refused with `Overloaded`.
        batch: how many writes are committed together at most; none waits for more than these.
        timeout: for how long another process is waited for, in seconds.
    """

    durable = True

    _kind = _SCHEMA.name
    _logger = logging.getLogger(__name__)

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        clock: Clock | None = None,
        waiting: int = 10_000,
        batch: int = 1_000,
        timeout: float = 5.0,
    ) -> None:
        super().__init__(path, waiting=waiting, batch=batch, timeout=timeout)
        self._clock = clock or SystemClock()

    def _open(self) -> _Records:
        return _Records(connect(self._path, self._timeout, _SCHEMA), self._clock)

    async def get(self, key: str) -> bytes | None:
        value, _ = await self._ask(Reading(lambda records: records.get(key))) or (None, None)
        return value

    async def put(self, key: str, value: bytes, *, ttl: float | None = None) -> None:
        await self._ask(_Change(lambda records: records.put(key, value, ttl)))

    async def put_new(self, key: str, value: bytes, *, ttl: float | None = None) -> bool:
        return await self._ask(_Change(lambda records: records.put_new(key, value, ttl)))

    async def delete(self, key: str) -> bool:
        return await self._ask(_Change(lambda records: records.delete(key)))

    async def increment(self, key: str, by: int = 1) -> int:
        return await self._ask(_Change(lambda records: records.increment(key, by)))

    async def children(self, parent: str) -> dict[str, bytes]:
        return await self._ask(Reading(lambda records: records.children(parent)))


class _Change(Command[T]):
    __slots__ = ("change",)

    def __init__(self, change: Callable[[_Records], T]) -> None:
        super().__init__()
        self.change = change


class _Records:
    """The table, in the file's thread."""

    def __init__(self, connection: sqlite3.Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock

    def close(self) -> None:
        self._connection.close()

    def commit(self, commands: Sequence[_Change[Any]]) -> None:
        """See `lbproto.backends.sqlite_calls.Tables`."""
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")  # nobody else writes from here on
        try:
            for command in commands:
                try:
                    command.answer, command.error = command.change(self), None
                except ValueError as error:  # before anything of it was written
                    command.error = error
            connection.execute(_SWEEP, (self._clock.now(),))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # some errors have rolled back by themselves
                connection.execute("ROLLBACK")
            raise

    def get(self, key: str) -> tuple[bytes, float | None] | None:
        """A value, and when it expires."""
        found = self._connection.execute(_GET, (*divided(key), self._clock.now()))
        row: tuple[bytes, float | None] | None = found.fetchone()
        return row

    def put(self, key: str, value: bytes, ttl: float | None) -> None:
        self._write(key, value, None if ttl is None else self._clock.now() + ttl)

    def put_new(self, key: str, value: bytes, ttl: float | None) -> bool:
        if self.get(key) is not None:
            return False
        self.put(key, value, ttl)
        return True

    def delete(self, key: str) -> bool:
        is_there = self.get(key) is not None
        self._connection.execute(_DELETE, divided(key))
        return is_there

    def increment(self, key: str, by: int) -> int:
        value, expires = self.get(key) or (b"0", None)
        total = int(value) + by
        self._write(key, b"%d" % total, expires)
        return total

    def children(self, parent: str) -> dict[str, bytes]:
        return dict(self._connection.execute(_CHILDREN, (f"{parent}/", self._clock.now())))

    def _write(self, key: str, value: bytes, expires: float | None) -> None:
        self._connection.execute(_PUT, (*divided(key), value, expires))
