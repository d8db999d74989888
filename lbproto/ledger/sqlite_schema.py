"""The file of a `SQLiteLedger`: how it is opened, its tables, and how older ones become these."""

from __future__ import annotations

import sqlite3
import time

from lbproto.errors import UsageError

__all__ = ["connect"]

_OURS = 0x6C627072
"""Tells in the file's header whose it is: `lbpr`."""

_RETRY_SECONDS = 0.01

_MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """
        CREATE TABLE accounts (
            id INTEGER PRIMARY KEY,
            user_id TEXT NOT NULL,
            application_id TEXT NOT NULL,
            balance INTEGER NOT NULL CHECK (balance >= 0),
            earned INTEGER NOT NULL,
            spent INTEGER NOT NULL,
            version INTEGER NOT NULL,
            due_at INTEGER,
            held BLOB NOT NULL, -- lots and open reservations, in MessagePack
            UNIQUE (user_id, application_id)
        )
        """,
        "CREATE INDEX accounts_due ON accounts (due_at) WHERE due_at IS NOT NULL",
        """
        CREATE TABLE movements (
            account INTEGER NOT NULL REFERENCES accounts,
            version INTEGER NOT NULL,
            kind TEXT NOT NULL,
            amount INTEGER NOT NULL CHECK (amount <> 0),
            balance INTEGER NOT NULL CHECK (balance >= 0),
            earned INTEGER NOT NULL,
            spent INTEGER NOT NULL,
            reason TEXT NOT NULL,
            transaction_id TEXT NOT NULL,
            at INTEGER NOT NULL, -- ms since the Unix epoch
            reserved INTEGER, -- by the reservation that it settles, whose receipt it is then
            PRIMARY KEY (account, version)
        ) WITHOUT ROWID
        """,
        """
        CREATE UNIQUE INDEX movements_settle_once ON movements (account, transaction_id)
        WHERE reserved IS NOT NULL
        """,
        """
        CREATE TRIGGER movements_are_not_changed BEFORE UPDATE ON movements
        BEGIN SELECT RAISE(ABORT, 'movements of credits are never changed'); END
        """,
        """
        CREATE TRIGGER movements_are_not_deleted BEFORE DELETE ON movements
        BEGIN SELECT RAISE(ABORT, 'movements of credits are never deleted'); END
        """,
        """
        CREATE TRIGGER movements_add_up BEFORE INSERT ON movements
        WHEN NEW.balance - NEW.amount IS NOT CASE NEW.version WHEN 1 THEN 0 ELSE (
            SELECT balance FROM movements WHERE account = NEW.account AND version = NEW.version - 1
        ) END
        BEGIN SELECT RAISE(ABORT, 'movements of credits have to add up'); END
        """,
        """
        CREATE TABLE receipts (
            account INTEGER NOT NULL REFERENCES accounts,
            transaction_id TEXT NOT NULL,
            command TEXT NOT NULL,
            amount INTEGER NOT NULL,
            detail TEXT NOT NULL,
            status TEXT NOT NULL,
            movement INTEGER, -- its version
            PRIMARY KEY (account, transaction_id)
        ) WITHOUT ROWID
        """,
        """
        CREATE TRIGGER receipts_are_not_of_what_is_settled BEFORE INSERT ON receipts
        WHEN EXISTS (
            SELECT 1 FROM movements
            WHERE account = NEW.account AND transaction_id = NEW.transaction_id
                AND reserved IS NOT NULL
        )
        BEGIN SELECT RAISE(ABORT, 'a reservation is settled once, and for good'); END
        """,
    ),
)
"""Each makes of the version before it the next one. What was released is never edited."""

_FOUND = """
CREATE TEMP TABLE found ( -- of the receipts that a transaction asks for: mostly none
    account INTEGER, transaction_id TEXT, command TEXT, amount INTEGER, detail TEXT, status TEXT,
    movement INTEGER
)
"""


def connect(path: str, timeout: float) -> sqlite3.Connection:
    """Open the file, make it where there is none, and bring its tables to this version.

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
        _migrate(connection, path)
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
    connection.execute(_FOUND)


def _migrate(connection: sqlite3.Connection, path: str) -> None:
    connection.execute("BEGIN")  # all that is read is of one moment: somebody may be making it
    with connection:
        version = _version(connection, path)
    if version == len(_MIGRATIONS):
        return  # without waiting for whoever writes
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        for statements in _MIGRATIONS[_version(connection, path) :]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")
        connection.execute(f"PRAGMA application_id = {_OURS}")


def _version(connection: sqlite3.Connection, path: str) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if owner != _OURS and (owner or version or tables):
        raise UsageError(f"{path!r} is no ledger of credits: it holds something else")
    if version > len(_MIGRATIONS):
        raise UsageError(f"{path!r} was written by a later version of lbproto")
    return int(version)
