"""The file of a `DuckDBArchive`: how it is opened, whose it is, and its tables."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from lbproto import UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["TABLES", "connect", "disconnect"]

_OWNER = "lbproto-market archive"
_FORMAT = 1

TABLES = ("seconds", "minutes", "days")
"""The tables of candles, by how long these are kept."""

_CANDLES = """
    CREATE TABLE {} (
        chart INTEGER NOT NULL,
        opening BIGINT NOT NULL, -- ms since the Unix epoch
        first_ms BIGINT NOT NULL,
        first_id BIGINT NOT NULL,
        first_price DECIMAL(38, 18) NOT NULL,
        last_ms BIGINT NOT NULL,
        last_id BIGINT NOT NULL,
        last_price DECIMAL(38, 18) NOT NULL,
        high DECIMAL(38, 18) NOT NULL,
        low DECIMAL(38, 18) NOT NULL,
        whole HUGEINT NOT NULL, -- of the volume
        fraction HUGEINT NOT NULL, -- of the volume, in 1e-18
        trades BIGINT NOT NULL,
        closed BOOLEAN NOT NULL,
        revision BIGINT NOT NULL
    )
"""

# No keys: there is one writer, who sees to it, and DuckDB's indices cost more than all the rest.
_SCHEMA = (
    "CREATE TABLE archive (owner VARCHAR NOT NULL, format INTEGER NOT NULL)",
    "CREATE TABLE markets (symbol VARCHAR NOT NULL, now_ms BIGINT NOT NULL)",
    """
    CREATE TABLE charts (
        chart INTEGER NOT NULL,
        symbol VARCHAR NOT NULL,
        venue VARCHAR NOT NULL,
        resolution VARCHAR NOT NULL
    )
    """,
    *(_CANDLES.format(table) for table in TABLES),
    """
    CREATE TABLE seen (
        symbol VARCHAR NOT NULL,
        venue VARCHAR NOT NULL,
        second BIGINT NOT NULL, -- ms since the Unix epoch
        ids BIGINT[] NOT NULL
    )
    """,
    """
    CREATE TABLE marks ( -- below which everything was counted
        symbol VARCHAR NOT NULL,
        venue VARCHAR NOT NULL,
        mark BIGINT NOT NULL
    )
    """,
)

# What is opened in this process: DuckDB would share a file between two who both want to write it.
_opened: set[str] = set()
_lock = Lock()


def connect(path: str, memory: int) -> DuckDBPyConnection:
    """Open the file, and make it where there is none; blocks.

    Args:
        path: the file.
        memory: how many MiB DuckDB may use.

    Raises:
        UsageError: DuckDB is missing, the file is open elsewhere, holds something else, is of a
            later version, or cannot be opened.
    """
    try:
        import duckdb
    except ImportError:
        raise UsageError(
            "keeping candles needs DuckDB: install the extra, lbproto-market[parquet]"
        ) from None
    real = os.path.realpath(path)
    with _lock:
        if real in _opened:
            raise _in_use(path, "this process")
        _opened.add(real)
    try:
        if os.path.lexists(path) and not Path(path).is_file():
            raise UsageError(f"the archive {path!r} cannot be opened: it is not a file")
        connection = duckdb.connect(
            path,
            config={
                "threads": 1,
                "memory_limit": f"{memory}MiB",
                "enable_external_access": "false",
                "autoload_known_extensions": "false",
                "autoinstall_known_extensions": "false",
                "lock_configuration": "true",
            },
        )
        try:
            _check(connection, path)
        except BaseException:
            connection.close()
            raise
    except BaseException as error:
        with _lock:
            _opened.discard(real)
        if isinstance(error, duckdb.Error):
            if "Conflicting lock" in str(error):
                raise _in_use(path, "another process") from error
            reason = str(error).partition("\n")[0]
            raise UsageError(f"the archive {path!r} cannot be opened: {reason}") from error
        raise
    return connection


def disconnect(connection: DuckDBPyConnection, path: str) -> None:
    """Close the file; blocks."""
    try:
        connection.close()
    finally:
        with _lock:
            _opened.discard(os.path.realpath(path))


def _check(connection: DuckDBPyConnection, path: str) -> None:
    names = {
        name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
    }
    if not names:
        connection.execute("BEGIN")
        for statement in _SCHEMA:
            connection.execute(statement)
        connection.execute("INSERT INTO archive VALUES (?, ?)", [_OWNER, _FORMAT])
        connection.execute("COMMIT")
        return
    row = connection.execute("SELECT * FROM archive").fetchone() if "archive" in names else None
    if row is None or row[0] != _OWNER:
        raise UsageError(f"{path!r} is not an archive of candles; it holds something else")
    if row[1] > _FORMAT:
        raise UsageError(f"{path!r} was written by a later version of lbproto-market: install that")


def _in_use(path: str, who: str) -> UsageError:
    return UsageError(
        f"the archive {path!r} is in use by {who}: stop that one, or give each server a file of "
        "its own"
    )
