"""One account of a store, for tests: commands in short, and a check of all that must hold."""

from __future__ import annotations

from typing import TypeVar

from lbproto.ledger.account import (
    Account,
    Balance,
    Change,
    Kind,
    Movement,
    Outcome,
    Receipt,
    Reservation,
    State,
)
from lbproto.ledger.commands import adjust, extend, grant, look, release, reserve, settle
from lbproto.ledger.store import LedgerStore

__all__ = ["NOW", "Book", "check_account"]

T = TypeVar("T")

NOW = 1_768_910_400_000
"""When things happen, unless a test says otherwise: 2026-01-20T12:00:00Z, in ms since the epoch."""


class Book:
    """An account in a store that is open.

    Moments are in ms since the Unix epoch. What a command raises comes out.
    """

    def __init__(self, ledger: LedgerStore, account: Account) -> None:
        self.ledger = ledger
        self.account = account

    async def do(self, transaction_id: str, change: Change[T]) -> T:
        """Have the store apply a command; what it answers."""
        return (await self.ledger.transact(self.account, transaction_id, change)).answer

    async def grant(
        self,
        name: str,
        amount: int,
        now: int = NOW,
        *,
        reason: str = "gift",
        priority: int = 0,
        until: int | None = None,
    ) -> Movement:
        """Give credits."""
        change = grant(name, amount, reason, now, priority=priority, expires_at=until)
        return await self.do(name, change)

    async def adjust(self, name: str, amount: int, now: int = NOW) -> Movement:
        """Correct the balance."""
        return await self.do(name, adjust(name, amount, "mistake", now))

    async def reserve(
        self, name: str, amount: int, now: int = NOW, *, until: int | None = None
    ) -> Reservation:
        """Set credits aside; for a minute, by default."""
        until = now + 60_000 if until is None else until
        return await self.do(name, reserve(name, amount, "buy", now, until))

    async def settle(self, name: str, amount: int, now: int = NOW) -> Movement | None:
        """Spend of a reservation."""
        return await self.do(name, settle(name, amount, now))

    async def release(self, name: str, now: int = NOW) -> None:
        """Give up a reservation."""
        await self.do(name, release(name, now))

    async def extend(self, name: str, until: int, now: int = NOW) -> None:
        """Let a reservation live longer."""
        await self.do(name, extend(name, now, until))

    async def look(self, now: int = NOW) -> Balance:
        """How the account is."""
        return await self.do("", look(now))

    async def state(self) -> State:
        """The account as it is kept, with nothing done to it."""

        def change(state: State, known: Receipt | None) -> Outcome[State]:
            return Outcome(state, [], {}, state)

        return await self.do("", change)

    async def history(self) -> list[Movement]:
        """All movements, oldest first."""
        found: list[Movement] = []
        before: int | None = None
        while page := await self.ledger.movements(self.account, before):
            found += page
            before = page[-1].version
        return found[::-1]

    async def check(self) -> None:
        """See whether the account adds up.

        Raises:
            AssertionError: its movements do not add up to it, or there is more reserved and left
                than it holds.
        """
        check_account(await self.state(), await self.history())


def check_account(state: State, history: list[Movement]) -> None:
    """See whether an account adds up.

    Args:
        history: all movements, oldest first.

    Raises:
        AssertionError: it does not.
    """
    balance = earned = spent = 0
    for number, one in enumerate(history, 1):
        balance += one.amount
        earned += max(one.amount, 0)
        spent -= one.amount if one.kind is Kind.DEDUCTED else 0
        kept = (one.version, one.balance, one.earned, one.spent)
        assert kept == (number, balance, earned, spent)
    reserved = sum(held.amount for held in state.reservations.values())
    assert state.shown() == Balance(balance, balance - reserved, earned, spent, len(history))
    assert all(lot.left > 0 for lot in state.lots)
    assert all(
        held.amount == sum(lot.left for lot in held.lots) for held in state.reservations.values()
    )
