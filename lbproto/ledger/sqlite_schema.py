"""The tables in the file of a `SQLiteLedger`.

Movements lie in the order of their commits, not by account: those of one commit are beside each
other, so that it writes a few pages, however many accounts it is about. Each names where its
account's one before it lies, and one farther back (`lbproto.ledger.sqlite_trail`). Receipts are
found by their id, then by account: ids that are made at about the same time follow each other
(`ordered_id`), so that these too are beside each other.

What does not add up rolls the transaction back, by `ROLLBACK` in place of `ABORT`: that is done
anyway, and SQLite need not be ready to undo each row by itself, which takes as long as the row.
"""

from __future__ import annotations

from lbproto.backends.sqlite_schema import Schema

__all__ = ["SCHEMA"]

_BY_ACCOUNT = (
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
)
"""Movements by account; receipts, too."""

_BY_COMMIT = (
    """
    CREATE TABLE moved (
        place INTEGER PRIMARY KEY,
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
        previous INTEGER REFERENCES movements, -- the account's, of the version before
        far INTEGER REFERENCES movements -- the account's, of the version without its lowest bit
    )
    """,
    """
    INSERT INTO moved
    SELECT place, account, version, kind, amount, balance, earned, spent, reason, transaction_id,
        at, reserved, CASE WHEN version > 1 THEN place - 1 END,
        CASE WHEN version > version & -version THEN place - (version & -version) END
    FROM (SELECT row_number() OVER (ORDER BY account, version) AS place, * FROM movements)
    """,
    "ALTER TABLE accounts ADD COLUMN newest INTEGER REFERENCES movements",
    "CREATE INDEX moved_last ON moved (account, place)",
    "UPDATE accounts SET newest = (SELECT max(place) FROM moved WHERE account = id)",
    "DROP INDEX moved_last",
    """
    CREATE TABLE noted (
        transaction_id TEXT NOT NULL,
        account INTEGER NOT NULL REFERENCES accounts,
        command TEXT NOT NULL,
        amount INTEGER NOT NULL,
        detail TEXT NOT NULL,
        status TEXT NOT NULL,
        movement INTEGER, -- its version
        PRIMARY KEY (transaction_id, account)
    ) WITHOUT ROWID
    """,
    """
    INSERT INTO noted
    SELECT transaction_id, account, command, amount, detail, status, movement FROM receipts
    """,
    "DROP TABLE receipts",
    "DROP TABLE movements",
    "ALTER TABLE moved RENAME TO movements",
    "ALTER TABLE noted RENAME TO receipts",
    """
    CREATE UNIQUE INDEX movements_settle_once ON movements (transaction_id, account)
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
    WHEN NEW.version <= (SELECT version FROM accounts WHERE id = NEW.account)
        OR NEW.balance - NEW.amount IS NOT CASE NEW.version WHEN 1 THEN 0 ELSE (
            SELECT balance FROM movements WHERE place = NEW.previous
                AND account = NEW.account AND version = NEW.version - 1
        ) END
    BEGIN SELECT RAISE(ROLLBACK, 'movements of credits have to add up'); END
    """,
    """
    CREATE TRIGGER receipts_are_not_of_what_is_settled BEFORE INSERT ON receipts
    WHEN EXISTS (
        SELECT 1 FROM movements
        WHERE account = NEW.account AND transaction_id = NEW.transaction_id
            AND reserved IS NOT NULL
    )
    BEGIN SELECT RAISE(ROLLBACK, 'a reservation is settled once, and for good'); END
    """,
)
"""Movements by commit. What the first version says too is said again, since neither is edited."""

SCHEMA = Schema("credit store", 0x6C627072, (_BY_ACCOUNT, _BY_COMMIT))
"""Marked by `lbpr`."""
