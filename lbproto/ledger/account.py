"""The state of a credit account, and the outcomes of commands on it. Pure.

Theory of operation. What an account holds lies in lots: each grant makes one, with a priority and
perhaps an expiry. Spending is in two phases. A reservation takes from the lots, those of the lowest
priority first, then those that expire first, then the oldest; what it holds is in the balance
still, but nobody else may spend it. It is resolved once::

                 settle
    reserve ---> settled           an amount is spent, the rest goes back to its lots
        |------> released          all of it goes back                     (release)
        `------> expired           likewise: whoever held it has died      (time)

What goes back to a lot that has expired meanwhile expires with it. Every command first does what
time has done since the last one, so that an account that nobody touches needs no timer.

Each change of the balance is a movement; the sum of all of them is the balance. Each has a
transaction id, which is the idempotency key as well: the same command again changes nothing and has
the same answer, another command by that id is refused. What a transaction has come to is its
receipt, which a store keeps beside the account (`lbproto.ledger.store`).

Amounts are integers, whose unit the application chooses. Moments are integer milliseconds since the
Unix epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar

import msgspec

__all__ = [
    "MAX_AMOUNT",
    "Account",
    "Balance",
    "Change",
    "Kind",
    "Lot",
    "Movement",
    "Outcome",
    "Receipt",
    "Reservation",
    "State",
    "Status",
    "left_in",
]

T = TypeVar("T")

MAX_AMOUNT = 2**53 - 1
"""The most that an account ever earns: every reader of JSON has it exactly, and so any balance."""


class Account(NamedTuple):
    """The key of an account: a user and an application."""

    user_id: str
    application_id: str = "default"


class Kind(StrEnum):
    """Why a balance has changed."""

    GRANTED = "granted"
    DEDUCTED = "deducted"
    ADJUSTED = "adjusted"
    EXPIRED = "expired"


class Movement(msgspec.Struct, frozen=True, gc=False):
    """One change of a balance, as it was committed.

    Attributes:
        version: counts the account's movements from 1.
        kind: why.
        amount: positive for what came in, negative for what went out.
        balance: after it.
        earned: all that was ever granted, or adjusted upwards, this included.
        spent: all that was ever deducted, likewise; positive.
        reason: the grant's or adjustment's, or the action that was paid for.
        transaction_id: unique in the account.
        at: when.
    """

    version: int
    kind: Kind
    amount: int
    balance: int
    earned: int
    spent: int
    reason: str
    transaction_id: str
    at: int


class Balance(msgspec.Struct, frozen=True, gc=False):
    """The balance of an account.

    Attributes:
        balance: the sum of its movements.
        available: the balance less what is reserved.
        earned: all that was ever granted, or adjusted upwards.
        spent: all that was ever deducted; positive.
        version: how many movements there were.
    """

    balance: int
    available: int
    earned: int
    spent: int
    version: int


class Status(StrEnum):
    """The status of a transaction."""

    OPEN = "open"  # a reservation that is not resolved; no receipt is
    SETTLED = "settled"
    RELEASED = "released"
    EXPIRED = "expired"
    DONE = "done"  # a grant or an adjustment


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """The recorded result of a transaction.

    A reservation that is open has none: the account has the reservation.

    Attributes:
        command: what was asked for by its id, with everything that has to be the same when it is
            asked for again.
        status: how it stands.
        movement: what it has moved; None for nothing (yet).
    """

    command: tuple[str, int, str]
    status: Status = Status.DONE
    movement: Movement | None = None


class Lot(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A part of a grant: what is left of it, or was taken from it.

    Grants of one priority that never expire are one lot, however many there were: nothing tells
    them apart, and an account stays small.

    Attributes:
        left: how many credits.
        priority: the lowest is spent first.
        expires_at: what is left then is gone; None for never.
        number: the version that the grant made; tells lots apart. 0 for those that never expire.
        transaction_id: the grant's; empty for those that never expire.
    """

    left: int
    priority: int
    expires_at: int | None
    number: int
    transaction_id: str

    def of(self, left: int) -> Lot:
        """The same lot with another number of credits."""
        return Lot(left, self.priority, self.expires_at, self.number, self.transaction_id)


def left_in(lots: Iterable[Lot]) -> int:
    """How many credits there are in lots."""
    left = 0
    for lot in lots:
        left += lot.left
    return left


class Reservation(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Credits that are set aside.

    Attributes:
        transaction_id: of the reservation, and of what it comes to.
        amount: how many.
        action: what they are for.
        expires_at: from then on they are not.
        status: `OPEN`, or how it was resolved, where it was reserved before.
        lots: what was taken from each.
    """

    transaction_id: str
    amount: int
    action: str
    expires_at: int
    status: Status = Status.OPEN
    lots: tuple[Lot, ...] = ()


class State(msgspec.Struct, gc=False):
    """An account, as a store keeps it. A change works on a fork of it.

    Attributes:
        due_at: when time next changes something; None for never. It follows from lots and
            reservations, and is kept because every command asks.
    """

    balance: int = 0
    earned: int = 0
    spent: int = 0
    version: int = 0
    lots: list[Lot] = []
    reservations: dict[str, Reservation] = {}
    due_at: int | None = None

    def fork(self) -> State:
        """A mutable copy."""
        return State(
            self.balance,
            self.earned,
            self.spent,
            self.version,
            self.lots.copy(),
            self.reservations.copy(),
            self.due_at,
        )

    def shown(self) -> Balance:
        """The account's balance, as shown."""
        return Balance(self.balance, self.available, self.earned, self.spent, self.version)

    @property
    def available(self) -> int:
        """The available credits: those that may be reserved."""
        return left_in(self.lots)

    def next_expiry(self) -> int | None:
        """The earliest of its lots and reservations; None where none of them expires."""
        due: int | None = None
        for held in self.reservations.values():
            if due is None or held.expires_at < due:
                due = held.expires_at
        for lot in self.lots:
            if lot.expires_at is not None and (due is None or lot.expires_at < due):
                due = lot.expires_at
        return due


class Outcome(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """The outcome of a change.

    Attributes:
        state: the account after it; the very object that went in where nothing has changed.
        movements: in order.
        receipts: those that are new or have changed, by transaction id.
        answer: for whoever asked.
    """

    state: State
    movements: list[Movement]
    receipts: dict[str, Receipt]
    answer: T


Change = Callable[[State, Receipt | None], Outcome[T]]
"""A command: takes the account and the receipt of its transaction id, if there is one.

Raises what its maker says; nothing has changed then. It never changes what it is given.
"""
