"""Accounts add up, nothing is spent that is not there, and nothing is paid for twice."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lbproto.ledger.account import Account, Kind, Outcome, Status, left_in
from lbproto.simulator.checks.base import Check
from lbproto.simulator.yard import GRANT, WELCOME, Buy, Dig

__all__ = ["Money"]

_OF_YARD = (WELCOME, Buy.event_name, Dig.event_name)


@dataclass(slots=True)
class _Book:
    """What an account must be like, by what was committed; of `spent` and `granted`, the yard's."""

    version: int = 0
    balance: int = 0
    spent: int = 0
    granted: int = 0
    ids: dict[str, None] = field(default_factory=dict)
    resolved: dict[str, Status] = field(default_factory=dict)


class Money(Check):
    """Follows every account, commit by commit."""

    def begin(self) -> None:
        self._books: dict[Account, _Book] = {}
        self.world.shared.committed = self._committed

    def _broken(self, account: Account, expected: str, came: str) -> None:
        self.world.story.break_("ledger", account.user_id, expected, came)

    def _committed(self, account: Account, outcome: Outcome[Any]) -> None:
        book = self._books.setdefault(account, _Book())
        for movement in outcome.movements:
            self.world.story.tell("ledger", f"{account.user_id}: {movement.kind}", movement.amount)
            book.version += 1
            book.balance += movement.amount
            if movement.version != book.version or movement.balance != book.balance:
                self._broken(account, f"version {book.version}: {book.balance}", str(movement))
            if movement.transaction_id in book.ids and movement.kind is not Kind.EXPIRED:
                self._broken(account, "one movement for each id", f"{movement} again")
            book.ids[movement.transaction_id] = None
            if movement.reason in _OF_YARD:
                book.spent -= min(movement.amount, 0)
                book.granted += max(movement.amount, 0)
        self._look_at_receipts(account, book, outcome)
        state = outcome.state
        reserved = sum(left_in(held.lots) for held in state.reservations.values())
        if state.balance != book.balance or state.available + reserved != book.balance:
            self._broken(
                account,
                f"what is available and what is reserved to be {book.balance}",
                f"{state.available} and {reserved}, of {state.balance}",
            )
        if state.available < 0 or any(lot.left < 0 for lot in state.lots):
            self._broken(account, "nothing below 0", f"{state.available} available")

    def _look_at_receipts(self, account: Account, book: _Book, outcome: Outcome[Any]) -> None:
        for id_, receipt in outcome.receipts.items():
            before = book.resolved.get(id_)
            if before is not None and receipt.status is not before:
                self._broken(account, f"{id_} to stay {before}", str(receipt.status))
            if receipt.status is not Status.OPEN:
                book.resolved[id_] = receipt.status

    def finish(self) -> None:
        for account, book in self._books.items():
            user = account.user_id
            most: dict[str, int] = {}
            for key, cost in self.world.truth.sold.get(user, ()):
                most[key] = max(cost, most.get(key, 0))
            allowed = sum(most.values())
            if book.spent > allowed:
                self._broken(
                    account,
                    f"at most {allowed} spent, each thing that was asked for paid once",
                    f"{book.spent} spent",
                )
            if book.granted not in (0, GRANT):
                self._broken(account, f"{GRANT} granted, once", f"{book.granted} granted")
            state = self.world.shared.states[account]
            if state.reservations:
                held = next(iter(state.reservations.values()))
                self._broken(account, "every reservation resolved by now", f"{held} still open")
