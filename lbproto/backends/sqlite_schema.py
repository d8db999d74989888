"""Opens SQLite files, and migrates those of older versions."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass

from lbproto.errors import UsageError

__all__ = ["Schema", "connect"]

_RETRY_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Schema:
    """The schema of a file.

    Attributes:
        name: what it is called in messages, such as "credit store".
        mark: 32 bits that tell in the file's header whose it is.
        migrations: statements; each makes of the version before it the next one. What was released
            is never edited.
    """

    name: str
    mark: int
    migrations: tuple[tuple[str, ...], ...]


def connect(path: str, timeout: float, schema: Schema) -> sqlite3.Connection:
    """Open a file, make it where there is none, and bring its tables to this version.

    What is committed through the connection is on the disk when the commit returns. It belongs to
    the thread that this is called in.

    Args:
        timeout: for how long another process is waited for, in seconds.

    Raises:
        UsageError: it holds something else, is of a later version, or its file system cannot do
            what has to be done.
        sqlite3.Error: it cannot be opened.
    """
    connection = sqlite3.connect(path, timeout, isolation_level=None)
    try:
        _prepare(connection, path, timeout)
        _migrate(connection, path, schema)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: str, timeout: float) -> None:
    mode = None
    for attempt in range(int(timeout / _RETRY_SECONDS), -1, -1):
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            break
        except sqlite3.OperationalError:  # at this SQLite waits for nobody, whatever the timeout
            if not attempt:
                raise
            time.sleep(_RETRY_SECONDS)
    if mode != "wal":
        raise UsageError(f"{path!r} cannot have a write-ahead log: it has to be a file on a disk")
    for pragma in (
        "synchronous = FULL",  # every commit waits for the disk
        "wal_autocheckpoint = 4000",  # pages: of 4 KiB, 16 MiB; most are written anew till then
        "fullfsync = ON",  # on macOS: for the disk itself, not its cache
        "checkpoint_fullfsync = ON",
        "temp_store = MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _migrate(connection: sqlite3.Connection, path: str, schema: Schema) -> None:
    migrations = schema.migrations
    connection.execute("BEGIN")  # all that is read is of one moment: somebody may be making it
    with connection:
        version = _version(connection, path, schema)
    if version == len(migrations):
        return  # without waiting for whoever writes
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        for statements in migrations[_version(connection, path, schema) :]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
        connection.execute(f"PRAGMA application_id = {schema.mark}")


def _version(connection: sqlite3.Connection, path: str, schema: Schema) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if owner != schema.mark and (owner or version or tables):
        raise UsageError(f"{path!r} is not a {schema.name}: it holds something else")
    if version > len(schema.migrations):
        raise UsageError(f"{path!r} was written by a later version of lbproto")
    return int(version)
