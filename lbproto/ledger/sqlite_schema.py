"""The tables in the file of a `SQLiteLedger`."""

from __future__ import annotations

import sqlite3

from lbproto.backends import sqlite_schema
from lbproto.backends.sqlite_schema import Schema

__all__ = ["SCHEMA", "connect"]

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

SCHEMA = Schema("credit store", 0x6C627072, _MIGRATIONS)
"""Marked by `lbpr`."""


_FOUND = """
CREATE TEMP TABLE found ( -- of the receipts that a transaction asks for: mostly none
    account INTEGER, transaction_id TEXT, command TEXT, amount INTEGER, detail TEXT, status TEXT,
    movement INTEGER
)
"""


def connect(path: str, timeout: float) -> sqlite3.Connection:
    """Open the file, as `lbproto.backends.sqlite_schema.connect` does."""
    connection = sqlite_schema.connect(path, timeout, SCHEMA)
    connection.execute(_FOUND)
    return connection
