"""Accounts in the tables of a `SQLiteLedger`: many commands in one transaction. Synchronous."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from lbproto.ledger.account import Account, Kind, Movement, Receipt, State, Status
from lbproto.ledger.sqlite_calls import Command
from lbproto.ledger.sqlite_opened import Opened, Row, state_of

__all__ = ["Tables"]

_READ = """
SELECT id, newest, balance, earned, spent, version, due_at, held FROM accounts
WHERE user_id = ? AND application_id = ?
"""
_TRAIL = """
WITH RECURSIVE trail (place) AS (
    VALUES (?) UNION ALL SELECT far FROM trail JOIN movements USING (place) WHERE far IS NOT NULL
)
SELECT place FROM trail
"""
_CREATE = """
INSERT INTO accounts (user_id, application_id, balance, earned, spent, version, held)
VALUES (?, ?, 0, 0, 0, 0, x'')
"""
_UPDATE = """
UPDATE accounts
SET balance = ?, earned = ?, spent = ?, version = ?, due_at = ?, held = ?, newest = ?
WHERE id = ?
"""
_RECEIPT = """
SELECT command, amount, detail, status, movement FROM receipts
WHERE transaction_id = ?1 AND account = ?2
UNION ALL
SELECT 'reserve', reserved, reason, 'settled', version FROM movements
WHERE transaction_id = ?1 AND account = ?2 AND reserved IS NOT NULL
"""
_NOTE = "INSERT OR REPLACE INTO receipts VALUES (?, ?, ?, ?, ?, ?, ?)"
_MOVE = "INSERT OR ROLLBACK INTO movements VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_LAST = "SELECT coalesce(max(place), 0) FROM movements"
_MOVEMENTS = """
WITH RECURSIVE
    sought (place, version, previous, far) AS (
        SELECT place, movements.version, previous, far
        FROM accounts JOIN movements ON place = newest
        WHERE user_id = ?1 AND application_id = ?2
        UNION ALL
        SELECT next.place, next.version, next.previous, next.far
        FROM sought JOIN movements AS next ON next.place =
            CASE WHEN sought.version - (sought.version & -sought.version) >= ?3
            THEN sought.far ELSE sought.previous END
        WHERE sought.version > ?3
    ),
    shown (place, previous) AS (
        SELECT place, previous FROM sought WHERE version <= ?3
        UNION ALL
        SELECT next.place, next.previous
        FROM shown JOIN movements AS next ON next.place = shown.previous
        LIMIT ?4
    )
SELECT version, kind, amount, balance, earned, spent, reason, transaction_id, at
FROM shown JOIN movements USING (place) ORDER BY version DESC
"""
_DUE = "SELECT user_id, application_id FROM accounts WHERE due_at <= ? ORDER BY due_at LIMIT ?"

_NEWEST = 2**63 - 1

_KEPT = 4_096
"""How many accounts are remembered from one transaction to the next."""

_AT_ONCE = 512
"""How many ids are looked for by one statement: some versions of SQLite take 999 parameters."""


class Tables:
    """The tables of a `SQLiteLedger`'s file.

    Args:
        connection: made by `lbproto.backends.sqlite_schema.connect`.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._kept: dict[Account, Opened] = {}  # as they are in the file, unless
        self._kept_of = -1  # another process has written since: its number for that has changed
        self._last = 0  # the place of the newest movement, likewise

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def commit(self, commands: Sequence[Command[Any]]) -> None:
        """See `lbproto.backends.sqlite_calls.Tables`.

        Each account is read once and written once, however many commands change it.
        """
        self._connection.execute("BEGIN IMMEDIATE")  # nobody else writes from here on
        try:
            self._forget()
            opened: dict[Account, Opened] = {}
            asked: list[tuple[Opened, str]] = []
            for command in commands:
                account, name = command.account, command.transaction_id
                here = opened.get(account)
                if here is None:
                    here = opened[account] = self._kept.get(account) or self._read(account)
                if here.id is not None and name not in here.state.reservations:
                    asked.append((here, name))
            found = self._find(asked)
            for command in commands:
                opened[command.account].apply(command, found)
            self._write([here for here in opened.values() if here.is_changed])
            self._connection.execute("COMMIT")
            self._kept.update(opened)
        except BaseException:
            self._kept_of = -1  # nothing that is remembered is to be trusted
            if self._connection.in_transaction:  # some errors have rolled back by themselves
                self._connection.execute("ROLLBACK")
            raise

    def movements(self, account: Account, before: int | None, limit: int) -> list[Movement]:
        """An account's history, newest first."""
        newest = _NEWEST if before is None else max(1, min(before, _NEWEST)) - 1
        rows = self._connection.execute(_MOVEMENTS, (*account, newest, max(0, limit)))
        return [Movement(version, Kind(kind), *rest) for version, kind, *rest in rows]

    def due(self, now: int, limit: int) -> list[Account]:
        """Accounts on which time has something to do."""
        return [Account(*row) for row in self._connection.execute(_DUE, (now, max(0, limit)))]

    def _forget(self) -> None:
        """Forget what may not be so any more; called when nobody else can write."""
        (written,) = self._connection.execute("PRAGMA data_version").fetchone()
        if written != self._kept_of or len(self._kept) > _KEPT:
            self._kept.clear()
            self._kept_of = written
            (self._last,) = self._connection.execute(_LAST).fetchone()

    def _read(self, account: Account) -> Opened:
        row = self._connection.execute(_READ, account).fetchone()
        if row is None:
            return Opened(account, None, State(), [])
        id_, newest, *kept = row
        trail = [place for (place,) in self._connection.execute(_TRAIL, (newest,)) if place]
        return Opened(account, id_, state_of(*kept), trail[::-1])

    def _find(self, asked: Sequence[tuple[Opened, str]]) -> dict[tuple[int, str], Receipt]:
        """Those receipts of all that are asked for that there are: mostly none."""
        found: dict[tuple[int, str], Receipt] = {}
        used = set(self._used([name for _, name in asked]))
        for here, name in asked if used else ():
            if here.id is not None and name in used:
                row = self._connection.execute(_RECEIPT, (name, here.id)).fetchone()
                if row is not None:
                    found[here.id, name] = self._receipt(here.account, *row)
        return found

    def _used(self, names: Sequence[str]) -> Iterator[str]:
        """Those transaction ids that some account has a receipt of."""
        for begin in range(0, len(names), _AT_ONCE):
            some = names[begin : begin + _AT_ONCE]
            size = 1 << (len(some) - 1).bit_length()  # there are few statements then
            filled = (*some, *[None] * (size - len(some)))
            for (name,) in self._connection.execute(_are_used(size), filled):
                yield name

    def _receipt(
        self, account: Account, command: str, amount: int, detail: str, status: str, version: int
    ) -> Receipt:
        movement = self.movements(account, version + 1, 1)[0] if version else None
        return Receipt((command, amount, detail), Status(status), movement)

    def _write(self, changed: Sequence[Opened]) -> None:
        # Three statements, however many accounts: starting one takes as long as a row of it.
        connection, last = self._connection, self._last
        moved: list[Row] = []
        noted: list[Row] = []
        for here in changed:
            if here.id is None:
                here.id = connection.execute(_CREATE, here.account).lastrowid
            last = here.write(last, moved, noted)
        connection.executemany(_MOVE, moved)
        connection.executemany(_NOTE, noted)
        connection.executemany(_UPDATE, [here.row() for here in changed])
        self._last = last


@cache
def _are_used(size: int) -> str:
    """A statement that is given so many transaction ids."""
    names = ", ".join(f"?{number}" for number in range(1, size + 1))
    return f"""
    SELECT transaction_id FROM receipts WHERE transaction_id IN ({names})
    UNION ALL
    SELECT transaction_id FROM movements
    WHERE reserved IS NOT NULL AND transaction_id IN ({names})
    """  # noqa: S608 - names of parameters
