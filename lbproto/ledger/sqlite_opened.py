"""An account of a `SQLiteLedger` while it is in memory. Synchronous, without the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from lbproto.ledger.account import Account, Lot, Movement, Receipt, Reservation, State, Status
from lbproto.ledger.sqlite_calls import Command
from lbproto.ledger.sqlite_trail import follow

__all__ = ["Opened", "Row", "state_of"]

Row = tuple[object, ...]
"""What a statement is given."""

_Held = tuple[list[Lot], dict[str, Reservation]]
_HELD = msgspec.msgpack.Decoder(_Held)
_encode = msgspec.msgpack.Encoder().encode

_SETTLED = Status.SETTLED  # looking up a member of an enumeration takes longer than comparing it


class Opened:
    """An account: read, changed perhaps, to be written before the commit, and remembered then.

    Args:
        account: whose.
        id_: its row; None where it is new.
        state: as it is in the file.
        trail: where its movements are; see `lbproto.ledger.sqlite_trail`.

    Attributes:
        is_changed: whether something of it is to be written.
    """

    __slots__ = ("_movements", "_noted", "_trail", "account", "id", "is_changed", "state")

    def __init__(self, account: Account, id_: int | None, state: State, trail: list[int]) -> None:
        self.account = account
        self.id = id_
        self.state = state
        self.is_changed = False
        self._trail = trail
        self._movements: list[Movement] = []  # these, and the receipts, are to be written
        self._noted: dict[str, Receipt] = {}

    def apply(self, command: Command[Any], found: Mapping[tuple[int, str], Receipt]) -> None:
        """Have a command change it.

        Args:
            found: receipts that are in the file, by the account's row and the transaction id.
        """
        name = command.transaction_id
        known = self._noted.get(name)
        if known is None and found and self.id is not None:
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
            self._movements += outcome.movements
            self._noted.update(outcome.receipts)

    def write(self, place: int, moved: list[Row], noted: list[Row]) -> int:
        """Add what is to be written to rows of movements and of receipts; nothing is then.

        Args:
            place: where the newest movement of all lies.

        Returns:
            Where it lies now.
        """
        id_ = self.id
        for one in self._movements:
            place += 1
            previous, far = follow(self._trail, one.version, place)
            moved.append(
                (
                    place,
                    id_,
                    one.version,
                    str(one.kind),  # SQLite looks long for what to do with an enumeration
                    one.amount,
                    one.balance,
                    one.earned,
                    one.spent,
                    one.reason,
                    one.transaction_id,
                    one.at,
                    self._reserved_for(one),
                    previous,
                    far,
                )
            )
        for name, note in self._noted.items():
            version = note.movement and note.movement.version
            noted.append((name, id_, *note.command, str(note.status), version))
        self.is_changed, self._movements, self._noted = False, [], {}
        return place

    def row(self) -> Row:
        """What is kept of it in its row."""
        state = self.state
        newest = self._trail[-1] if self._trail else None
        held = _encode((state.lots, state.reservations))
        figures = state.balance, state.earned, state.spent, state.version
        return *figures, state.due_at, held, newest, self.id

    def _reserved_for(self, movement: Movement) -> int | None:
        """How much was reserved, where a movement settles that: its receipt is in its row then."""
        name = movement.transaction_id
        note = self._noted.get(name)
        if note is None or note.movement is not movement or note.status is not _SETTLED:
            return None
        command, reserved, detail = note.command
        if command != "reserve" or detail != movement.reason:
            return None
        del self._noted[name]
        return reserved


def state_of(
    balance: int, earned: int, spent: int, version: int, due_at: int | None, held: bytes
) -> State:
    """An account as its row has it."""
    lots, reservations = _HELD.decode(held)
    return State(balance, earned, spent, version, lots, reservations, due_at)
