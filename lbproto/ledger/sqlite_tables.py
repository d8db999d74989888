"""Accounts in the tables of a `SQLiteLedger`: many commands in one transaction. Synchronous."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from lbproto.ledger.account import (
    Account,
    Kind,
    Lot,
    Movement,
    Receipt,
    Reservation,
    State,
    Status,
)
from lbproto.ledger.draft import reserve_command
from lbproto.ledger.sqlite_calls import Command

__all__ = ["Tables"]

_Asked = tuple[int | None, str]
"""A row of `accounts`, None for one that is new, and a transaction id."""
_Held = tuple[list[Lot], dict[str, Reservation]]
_HELD = msgspec.msgpack.Decoder(_Held)
_ENCODER = msgspec.msgpack.Encoder()

_READ = """
SELECT id, balance, earned, spent, version, due_at, held FROM accounts
WHERE user_id = ? AND application_id = ?
"""
_CREATE = """
INSERT INTO accounts (balance, earned, spent, version, due_at, held, user_id, application_id)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_UPDATE = """
UPDATE accounts SET balance = ?, earned = ?, spent = ?, version = ?, due_at = ?, held = ?
WHERE id = ?
"""
_FIND = """
INSERT INTO found
SELECT account, transaction_id, command, amount, detail, status, movement FROM receipts
WHERE account = ?1 AND transaction_id = ?2
UNION ALL
SELECT account, transaction_id, 'reserve', reserved, reason, 'settled', version FROM movements
WHERE account = ?1 AND transaction_id = ?2 AND reserved IS NOT NULL
"""
_FOUND = """
SELECT found.account, found.transaction_id, command, found.amount, detail, status,
    version, kind, movements.amount, balance, earned, spent, reason, movements.transaction_id, at
FROM found LEFT JOIN movements ON movements.account = found.account AND version = movement
"""
_NOTE = "INSERT OR REPLACE INTO receipts VALUES (?, ?, ?, ?, ?, ?, ?)"
_MOVE = "INSERT INTO movements VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_MOVEMENTS = """
SELECT movements.version, kind, amount, movements.balance, movements.earned, movements.spent,
    reason, transaction_id, at
FROM accounts JOIN movements ON account = id
WHERE user_id = ? AND application_id = ? AND movements.version < ?
ORDER BY movements.version DESC LIMIT ?
"""
_DUE = "SELECT user_id, application_id FROM accounts WHERE due_at <= ? ORDER BY due_at LIMIT ?"

# Looking up a member of an enumeration takes longer than comparing it.
_OPEN, _SETTLED = Status.OPEN, Status.SETTLED

_NEWEST = 2**63 - 1

_KEPT = 4_096
"""How many accounts are remembered from one transaction to the next."""


class _Open:
    """An account: read, changed perhaps, to be written before the commit, and remembered then."""

    __slots__ = ("account", "id", "is_changed", "movements", "noted", "state")

    def __init__(self, account: Account, id_: int | None, state: State) -> None:
        self.account = account
        self.id = id_  # None where it is new
        self.state = state
        self.is_changed = False
        self.movements: list[Movement] = []  # these, and the receipts, are to be written
        self.noted: dict[str, Receipt] = {}

    def apply(self, command: Command[Any], found: Mapping[_Asked, Receipt]) -> None:
        """Change it.

        Args:
            found: receipts that are in the file.
        """
        name = command.transaction_id
        known = self.noted.get(name)
        if known is None:
            if (held := self.state.reservations.get(name)) is not None:
                known = _while_open(held)
            elif found:
                known = found.get((self.id, name))
        try:
            outcome = command.change(self.state, known)
        except BaseException as error:  # noqa: BLE001 - raised to the one whose change it is
            command.error = error
            return
        command.answer, command.error = outcome, None
        if outcome.state is not self.state or outcome.receipts:
            self.is_changed = True
            self.state = outcome.state
            self.movements += outcome.movements
            self.noted.update(outcome.receipts)

    def reserved_for(self, movement: Movement) -> int | None:
        """How much was reserved, where a movement settles that: its receipt is in its row then."""
        name = movement.transaction_id
        note = self.noted.get(name)
        if note is None or note.movement is not movement or note.status is not _SETTLED:
            return None
        command, reserved, detail = note.command
        if command != "reserve" or detail != movement.reason:
            return None
        del self.noted[name]
        return reserved

    def is_held(self, name: str, note: Receipt) -> bool:
        """Whether a receipt is that of an open reservation: then the account says as much."""
        held = self.state.reservations.get(name)
        return note.status is _OPEN and held is not None and note == _while_open(held)


class Tables:
    """What is in a file.

    Args:
        connection: made by `lbproto.ledger.sqlite_schema.connect`.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._kept: dict[Account, _Open] = {}  # as they are in the file, unless
        self._kept_of = -1  # another process has written since: its number for that has changed

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
            opened: dict[Account, _Open] = {}
            asked: list[_Asked] = []
            for command in commands:
                account, name = command.account, command.transaction_id
                here = opened.get(account)
                if here is None:
                    here = opened[account] = self._read(account)
                if here.id is not None and name not in here.state.reservations:
                    asked.append((here.id, name))
            found = self._find(asked) if asked else {}
            for command in commands:
                opened[command.account].apply(command, found)
            self._write([here for here in opened.values() if here.is_changed])
            self._connection.execute("COMMIT")
            self._kept.update(opened)
        except BaseException:
            self._kept.clear()
            if self._connection.in_transaction:  # some errors have rolled back by themselves
                self._connection.execute("ROLLBACK")
            raise

    def movements(self, account: Account, before: int | None, limit: int) -> list[Movement]:
        """An account's history, newest first."""
        before = _NEWEST if before is None else before
        rows = self._connection.execute(_MOVEMENTS, (*account, before, max(0, limit)))
        return [_movement(row) for row in rows]

    def due(self, now: int, limit: int) -> list[Account]:
        """Accounts on which time has something to do."""
        return [Account(*row) for row in self._connection.execute(_DUE, (now, max(0, limit)))]

    def _forget(self) -> None:
        """Forget what may not be so any more; called when nobody else can write."""
        (written,) = self._connection.execute("PRAGMA data_version").fetchone()
        if written != self._kept_of or len(self._kept) > _KEPT:
            self._kept.clear()
            self._kept_of = written

    def _read(self, account: Account) -> _Open:
        if (kept := self._kept.get(account)) is not None:
            return kept
        row = self._connection.execute(_READ, account).fetchone()
        if row is None:
            return _Open(account, None, State())
        id_, balance, earned, spent, version, due_at, held = row
        lots, reservations = _HELD.decode(held)
        state = State(balance, earned, spent, version, lots, reservations, due_at)
        return _Open(account, id_, state)

    def _find(self, asked: Sequence[_Asked]) -> dict[_Asked, Receipt]:
        """Those receipts of all that are asked for that there are."""
        connection = self._connection
        connection.executemany(_FIND, asked)
        found: dict[_Asked, Receipt] = {}
        for id_, name, command, amount, detail, status, version, *rest in connection.execute(
            _FOUND
        ):
            movement = None if version is None else _movement((version, *rest))
            found[id_, name] = Receipt((command, amount, detail), Status(status), movement)
        if found:
            connection.execute("DELETE FROM found")
        return found

    def _write(self, changed: Sequence[_Open]) -> None:
        connection = self._connection
        known = [here for here in changed if here.id is not None]
        for here in changed:
            if here.id is None:
                created = connection.execute(_CREATE, (*_columns(here.state), *here.account))
                here.id = created.lastrowid
        # Three statements, however many accounts: starting one takes as long as a row of it.
        connection.executemany(_UPDATE, [(*_columns(here.state), here.id) for here in known])
        moved: list[tuple[object, ...]] = []
        noted: list[tuple[object, ...]] = []
        for here in changed:
            moved += [(here.id, *_row(one), here.reserved_for(one)) for one in here.movements]
            for name, note in here.noted.items():
                if not here.is_held(name, note):
                    version = note.movement and note.movement.version
                    noted.append((here.id, name, *note.command, str(note.status), version))
            here.is_changed, here.movements, here.noted = False, [], {}
        connection.executemany(_MOVE, moved)
        connection.executemany(_NOTE, noted)


def _columns(state: State) -> tuple[object, ...]:
    """What is kept of an account, in the order of the statements."""
    held = _ENCODER.encode((state.lots, state.reservations))
    return state.balance, state.earned, state.spent, state.version, state.due_at, held


def _while_open(held: Reservation) -> Receipt:
    """The receipt of an open reservation, which is not kept besides."""
    return Receipt(reserve_command(held.amount, held.action), _OPEN)


def _row(movement: Movement) -> tuple[object, ...]:
    version, kind, *rest = msgspec.structs.astuple(movement)
    return version, str(kind), *rest  # SQLite looks long for what to do with an enumeration


def _movement(row: Any) -> Movement:
    version, kind, *rest = row
    return Movement(version, Kind(kind), *rest)
