"""An account credit by credit: slow, simple, and made otherwise than the one that is tested."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import inf

from lbproto.errors import InsufficientCredits, InvalidRequest, NotFound
from lbproto.ledger.account import Kind, Status

__all__ = ["Model", "Moved"]

Moved = tuple[Kind, int, int, str] | None
"""What a command has moved: why, how much, the balance after it, the reason."""


@dataclass
class _Credit:
    """One of them; `order` is in which it is spent, `holder` whose reservation has it."""

    order: tuple[int, float, int]
    holder: str | None = None


@dataclass
class _Transaction:
    """What has become of an id."""

    command: tuple[object, ...]
    status: Status
    moved: Moved = None
    amount: int = 0  # of a reservation


@dataclass
class _Held:
    """An open reservation."""

    amount: int
    expires_at: int
    credits: list[_Credit]


class Model:
    """An account, to which time passes as soon as it is told.

    The commands are those of `lbproto.ledger.commands`, and raise the same.
    """

    def __init__(self) -> None:
        self.now = 0
        self.earned = self.spent = 0
        self.transactions: dict[str, _Transaction] = {}
        self.held: dict[str, _Held] = {}
        self._credits: list[_Credit] = []
        self._grants = 0

    @property
    def balance(self) -> int:
        """Credits that are there, held or not."""
        return len(self._credits)

    @property
    def available(self) -> int:
        """Credits that nobody holds."""
        return len(self._free())

    def lots(self) -> Counter[tuple[str | None, int, float]]:
        """How many credits there are by holder, priority and expiry."""
        return Counter((credit.holder, *credit.order[:2]) for credit in self._credits)

    def pass_time(self, now: int) -> None:
        """Let it be so late."""
        self.now = now
        for name, held in list(self.held.items()):
            if held.expires_at <= now:
                self._end(name, Status.EXPIRED)
        self._expire()

    def grant(
        self, name: str, amount: int, reason: str, priority: int = 0, until: int | None = None
    ) -> Moved:
        """Give credits."""
        command = ("grant", amount, reason, priority, until)
        if name in self.transactions:
            return self._again(name, command)
        self._add(amount, priority, inf if until is None else until)
        return self._done(name, command, (Kind.GRANTED, amount, self.balance, reason))

    def adjust(self, name: str, amount: int, reason: str) -> Moved:
        """Correct the balance."""
        command = ("adjust", amount, reason)
        if name in self.transactions:
            return self._again(name, command)
        if amount > 0:
            self._add(amount, 0, inf)
        else:
            self._spend(self._first(-amount))
        return self._done(name, command, (Kind.ADJUSTED, amount, self.balance, reason))

    def reserve(self, name: str, amount: int, action: str, until: int) -> Status:
        """Set credits aside."""
        command = ("reserve", amount, action)
        if name in self.transactions:
            if self.transactions[name].command != command:
                raise InvalidRequest("")
            return self.transactions[name].status
        taken = self._first(amount)
        for credit in taken:
            credit.holder = name
        self.held[name] = _Held(amount, until, taken)
        self.transactions[name] = _Transaction(command, Status.OPEN, amount=amount)
        return Status.OPEN

    def settle(self, name: str, amount: int) -> Moved:
        """Spend of a reservation."""
        known = self.transactions.get(name)
        if known is not None and known.status is Status.SETTLED:
            if amount != (0 if known.moved is None else -known.moved[1]):
                raise InvalidRequest("")
            return known.moved
        if name not in self.held:
            raise NotFound("")
        held, transaction = self.held[name], self.transactions[name]
        more = self._first(max(0, amount - held.amount))
        self._spend(held.credits[:amount] + more)
        self.spent += amount
        if amount:
            reason = str(transaction.command[2])
            transaction.moved = (Kind.DEDUCTED, -amount, self.balance, reason)
        self._end(name, Status.SETTLED)
        self._expire()
        return transaction.moved

    def release(self, name: str) -> None:
        """Give up a reservation."""
        known = self.transactions.get(name)
        if known is not None and known.status is Status.SETTLED:
            raise InvalidRequest("")
        if known is None or known.status is Status.DONE:
            raise NotFound("")
        if name in self.held:
            self._end(name, Status.RELEASED)
            self._expire()

    def extend(self, name: str, until: int) -> None:
        """Let a reservation live longer."""
        if name not in self.held:
            raise NotFound("")
        self.held[name].expires_at = max(self.held[name].expires_at, until)

    def _free(self) -> list[_Credit]:
        free = [credit for credit in self._credits if credit.holder is None]
        return sorted(free, key=lambda credit: credit.order)

    def _first(self, amount: int) -> list[_Credit]:
        free = self._free()
        if len(free) < amount:
            raise InsufficientCredits("")
        return free[:amount]

    def _add(self, amount: int, priority: int, until: float) -> None:
        self.earned += amount
        self._grants += 1
        self._credits += [_Credit((priority, until, self._grants)) for _ in range(amount)]

    def _spend(self, spent: list[_Credit]) -> None:
        gone = {id(credit) for credit in spent}
        self._credits = [credit for credit in self._credits if id(credit) not in gone]

    def _end(self, name: str, status: Status) -> None:
        for credit in self.held.pop(name).credits:
            credit.holder = None
        self.transactions[name].status = status

    def _expire(self) -> None:
        self._spend([credit for credit in self._free() if credit.order[1] <= self.now])

    def _again(self, name: str, command: tuple[object, ...]) -> Moved:
        if self.transactions[name].command != command:
            raise InvalidRequest("")
        return self.transactions[name].moved

    def _done(self, name: str, command: tuple[object, ...], moved: Moved) -> Moved:
        self.transactions[name] = _Transaction(command, Status.DONE, moved)
        return moved
