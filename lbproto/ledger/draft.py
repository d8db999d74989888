"""A draft of an account while a command changes it. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from math import inf
from typing import TypeVar

from lbproto.errors import InsufficientCredits, NotFound
from lbproto.ledger.account import (
    Kind,
    Lot,
    Movement,
    Outcome,
    Receipt,
    Reservation,
    State,
    Status,
)

__all__ = ["Draft", "reserve_command"]

T = TypeVar("T")

_DEDUCTED = Kind.DEDUCTED  # looking up a member of an enumeration takes longer than comparing it


class Draft:
    """An account while a command changes it; what time has done to it until now is done.

    Args:
        state: as it is kept; it stays as it is.
        now: in ms since the Unix epoch.

    Attributes:
        state: as it will be.
        receipts: those that are new or have changed, by transaction id.
    """

    __slots__ = ("_is_due_known", "_movements", "_now", "receipts", "state")

    def __init__(self, state: State, now: int) -> None:
        self.state = state.fork()
        self._is_due_known = True  # else it is looked for once, at the end
        self.receipts: dict[str, Receipt] = {}
        self._movements: list[Movement] = []
        self._now = now
        due = state.due_at
        if due is not None and due <= now:
            self._pass_time()

    def _pass_time(self) -> None:
        for held in list(self.state.reservations.values()):
            if held.expires_at <= self._now:
                self.resolve(held, Status.EXPIRED)
                for part in held.lots:
                    self._put(part)
        self._expire_lots()

    def outcome(self, answer: T) -> Outcome[T]:
        """The outcome of the command."""
        if not self._is_due_known:
            self.state.due_at = self.state.next_expiry()
        return Outcome(self.state, self._movements, self.receipts, answer)

    def hold(self, held: Reservation) -> None:
        """Put in a reservation that is new; what it holds has been taken."""
        self.state.reservations[held.transaction_id] = held
        self._expect(held.expires_at)

    def renew(self, held: Reservation) -> None:
        """Put a reservation in the place of the one of its id."""
        self.state.reservations[held.transaction_id] = held
        self._is_due_known = False

    def held(self, transaction_id: str) -> Reservation:
        """The open reservation of that id.

        Raises:
            NotFound: there is no open reservation of that id.
        """
        held = self.state.reservations.get(transaction_id)
        if held is None:
            raise NotFound("There is no open reservation of that id")
        return held

    def move(self, kind: Kind, amount: int, reason: str, transaction_id: str) -> Movement:
        """Change the balance by an amount."""
        state = self.state
        state.version += 1
        state.balance += amount
        if kind is _DEDUCTED:
            state.spent -= amount
        elif amount > 0:
            state.earned += amount
        movement = Movement(
            state.version,
            kind,
            amount,
            state.balance,
            state.earned,
            state.spent,
            reason,
            transaction_id,
            self._now,
        )
        self._movements.append(movement)
        return movement

    def take(self, amount: int) -> tuple[Lot, ...]:
        """Take from the lots, in their order.

        Raises:
            InsufficientCredits: there is less in them.
        """
        lots = self.state.lots
        if lots and (first := lots[0]).left > amount:
            lots[0] = first.of(first.left - amount)
            return (first.of(amount),)
        available = self.state.available
        if available < amount:
            raise InsufficientCredits(
                f"{amount} credits are needed, {available} are available",
                required=amount,
                available=available,
            )
        taken: list[Lot] = []
        self._is_due_known = False
        while amount:
            lot = lots[0]
            part = min(lot.left, amount)
            amount -= part
            taken.append(lot.of(part))
            if part == lot.left:
                del lots[0]
            else:
                lots[0] = lot.of(lot.left - part)
        return tuple(taken)

    def add(self, amount: int, priority: int, expires_at: int | None, movement: Movement) -> None:
        """Add what a movement has brought to the lots."""
        if expires_at is None:
            self._put(Lot(amount, priority, None, 0, ""))
        else:
            lot = Lot(amount, priority, expires_at, movement.version, movement.transaction_id)
            self._put(lot)

    def give_back(self, parts: Sequence[Lot]) -> None:
        """Put back what was taken; what has expired meanwhile is gone for good."""
        expired = False
        for part in parts:
            self._put(part)
            expired = expired or (part.expires_at is not None and part.expires_at <= self._now)
        if expired:
            self._expire_lots()

    def resolve(self, held: Reservation, status: Status, movement: Movement | None = None) -> None:
        """End a reservation; what it holds is still to be given back."""
        del self.state.reservations[held.transaction_id]
        if held.expires_at == self.state.due_at:
            self._is_due_known = False
        command = reserve_command(held.amount, held.action)
        self.receipts[held.transaction_id] = Receipt(command, status, movement)

    def _put(self, part: Lot) -> None:
        """Put a lot in its place, or with what is left of the same one."""
        lots = self.state.lots
        if lots and (first := lots[0]).number == part.number and first.priority == part.priority:
            lots[0] = first.of(first.left + part.left)
            return
        order = _order(part)
        index = bisect_left(lots, order, key=_order)
        if index < len(lots) and _order(lots[index]) == order:
            lots[index] = part.of(lots[index].left + part.left)
        else:
            lots.insert(index, part)
            if part.expires_at is not None:
                self._expect(part.expires_at)

    def _expect(self, expires_at: int) -> None:
        """Something expires then that did not before."""
        due = self.state.due_at
        if due is None or expires_at < due:
            self.state.due_at = expires_at

    def _expire_lots(self) -> None:
        self._is_due_known = False
        for lot in list(self.state.lots):
            if lot.expires_at is not None and lot.expires_at <= self._now:
                self.state.lots.remove(lot)
                # A lot can expire more than once, when something of it is given back later.
                transaction_id = f"{lot.transaction_id}:expired:{self.state.version + 1}"
                self.move(Kind.EXPIRED, -lot.left, "expired", transaction_id)


def reserve_command(amount: int, action: str) -> tuple[str, int, str]:
    """What has to be the same when a reservation is asked for again."""
    return "reserve", amount, action


def _order(lot: Lot) -> tuple[int, float, int]:
    return lot.priority, inf if lot.expires_at is None else lot.expires_at, lot.number
