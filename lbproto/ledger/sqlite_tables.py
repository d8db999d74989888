"""Accounts in the tables of a `SQLiteLedger`: many commands in one transaction. Synchronous."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
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

_Held = tuple[list[Lot], dict[str, Reservation]]
_HELD = msgspec.msgpack.Decoder(_Held)
_ENCODER = msgspec.msgpack.Encoder()

_READ = """
SELECT id, balance, earned, spent, version, held FROM accounts
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
_RECEIPT = """
SELECT command, amount, detail, status, movement FROM receipts
WHERE account = ? AND transaction_id = ?
"""
_MOVEMENT = """
SELECT version, kind, amount, balance, earned, spent, reason, transaction_id, at FROM movements
WHERE account = ? AND version = ?
"""
_NOTE = "INSERT OR REPLACE INTO receipts VALUES (?, ?, ?, ?, ?, ?, ?)"
_MOVE = "INSERT INTO movements VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_MOVEMENTS = """
SELECT movements.version, kind, amount, movements.balance, movements.earned, movements.spent,
    reason, transaction_id, at
FROM accounts JOIN movements ON account = id
WHERE user_id = ? AND application_id = ? AND movements.version < ?
ORDER BY movements.version DESC LIMIT ?
"""
_DUE = "SELECT user_id, application_id FROM accounts WHERE due_at <= ? ORDER BY due_at LIMIT ?"

_NEWEST = 2**63 - 1

_KEPT = 4_096
"""How many accounts are remembered from one transaction to the next."""


class _Open:
    """An account in a transaction: read, changed perhaps, to be written before the commit."""

    __slots__ = ("account", "id", "is_changed", "movements", "noted", "receipts", "state")

    def __init__(self, account: Account, id_: int | None, state: State) -> None:
        self.account = account
        self.id = id_  # None where it is new
        self.state = state
        self.is_changed = False
        self.movements: list[Movement] = []
        self.noted: dict[str, Receipt] = {}  # to be written
        self.receipts: dict[str, Receipt | None] = {}  # these, and those that were read

    def apply(self, command: Command[Any], known: Receipt | None) -> None:
        """Change it."""
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
            self.receipts.update(outcome.receipts)

    def tells(self, name: str, note: Receipt) -> bool:
        """Whether a receipt is that of an open reservation: then the account says as much."""
        held = self.state.reservations.get(name)
        return held is not None and note == _while_open(held)


class Tables:
    """What is in a file.

    Args:
        connection: made by `lbproto.ledger.sqlite_schema.connect`.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._kept: dict[Account, tuple[int, State]] = {}  # as they are in the file, unless
        self._kept_of = -1  # another process has written since: its number for that has changed

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def commit(self, commands: Iterable[Command[Any]]) -> None:
        """Have commands change accounts, one after the other, in one transaction.

        Each account is read once and written once, however many commands change it. One that
        raises has written nothing yet, so that it takes no other with it.

        Raises:
            Exception: nothing is committed: the file cannot be written, or something of what a
                command comes to cannot be kept.
        """
        self._connection.execute("BEGIN IMMEDIATE")  # nobody else writes from here on
        try:
            self._forget()
            opened: dict[Account, _Open] = {}
            for command in commands:
                account, transaction_id = command.account, command.transaction_id
                here = opened.get(account)
                if here is None:
                    here = opened[account] = self._read(account)
                if transaction_id in here.receipts:
                    known = here.receipts[transaction_id]
                elif (held := here.state.reservations.get(transaction_id)) is not None:
                    known = _while_open(held)
                else:
                    known = self._receipt(here.id, transaction_id)
                    here.receipts[transaction_id] = known
                here.apply(command, known)
            self._write([here for here in opened.values() if here.is_changed])
            self._connection.execute("COMMIT")
            self._kept.update(
                {here.account: (here.id, here.state) for here in opened.values() if here.id}
            )
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
            return _Open(account, *kept)
        row = self._connection.execute(_READ, account).fetchone()
        if row is None:
            return _Open(account, None, State())
        id_, *numbers, held = row
        return _Open(account, id_, State(*numbers, *_HELD.decode(held)))

    def _receipt(self, account: int | None, transaction_id: str) -> Receipt | None:
        row = self._connection.execute(_RECEIPT, (account, transaction_id)).fetchone()
        if row is None:
            return None
        command, amount, detail, status, version = row
        movement = None
        if version is not None:
            movement = _movement(self._connection.execute(_MOVEMENT, (account, version)).fetchone())
        return Receipt((command, amount, detail), Status(status), movement)

    def _write(self, changed: Sequence[_Open]) -> None:
        connection = self._connection
        known = [here for here in changed if here.id is not None]
        for here in changed:
            if here.id is None:
                created = connection.execute(_CREATE, (*_columns(here.state), *here.account))
                here.id = created.lastrowid
        # Three statements, however many accounts: starting one takes as long as a row of it.
        connection.executemany(_UPDATE, [(*_columns(here.state), here.id) for here in known])
        connection.executemany(
            _MOVE,
            [
                (here.id, *msgspec.structs.astuple(movement))
                for here in changed
                for movement in here.movements
            ],
        )
        connection.executemany(
            _NOTE,
            [
                (here.id, name, *note.command, note.status, note.movement and note.movement.version)
                for here in changed
                for name, note in here.noted.items()
                if not here.tells(name, note)
            ],
        )


def _columns(state: State) -> tuple[object, ...]:
    """What is kept of an account, in the order of the statements."""
    held = _ENCODER.encode((state.lots, state.reservations))
    return state.balance, state.earned, state.spent, state.version, state.due_at, held


def _while_open(held: Reservation) -> Receipt:
    """The receipt of an open reservation, which is not kept besides."""
    return Receipt(reserve_command(held.amount, held.action), Status.OPEN)


def _movement(row: Any) -> Movement:
    version, kind, *rest = row
    return Movement(version, Kind(kind), *rest)
