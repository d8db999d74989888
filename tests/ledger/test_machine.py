"""The machine of an account by itself: any interleaving of commands adds up."""

from __future__ import annotations

from collections import defaultdict
from contextlib import nullcontext
from typing import Any

from lbproto.ledger.account import Account, Change, Movement, Outcome, Receipt, State
from lbproto.testing.ledger.interleaving import try_interleavings


class Pure:
    """Accounts as they are, without a store."""

    def __init__(self) -> None:
        self.states: defaultdict[Account, State] = defaultdict(State)
        self.receipts: dict[tuple[Account, str], Receipt] = {}
        self.history: defaultdict[Account, list[Movement]] = defaultdict(list)

    def transact(self, account: Account, name: str, change: Change[Any]) -> Outcome[Any]:
        before = self.states[account]
        known = self.receipts.get((account, name))
        outcome = change(before.fork(), known)
        assert change(before, known) == outcome  # pure: it only looks at what it is given
        assert outcome.state.due_at == outcome.state.next_expiry()
        self.states[account] = outcome.state
        self.receipts.update({(account, each): note for each, note in outcome.receipts.items()})
        self.history[account] += outcome.movements
        return outcome

    def movements(self, account: Account) -> list[Movement]:
        return self.history[account][::-1][:100]

    def due(self, now: int) -> list[Account]:
        return [
            account
            for account, state in self.states.items()
            if state.due_at is not None and state.due_at <= now
        ]

    def crash(self) -> None:
        """There is nothing to lose."""


def test_any_interleaving_adds_up() -> None:
    try_interleavings(lambda: nullcontext(Pure()), 200)
