"""The port of ledger stores."""

from __future__ import annotations

from typing import Protocol, TypeVar

from lbproto.backends.base import Port
from lbproto.ledger.account import Account, Change, Movement, Outcome

__all__ = ["LedgerStore"]

T = TypeVar("T")


class LedgerStore(Port, Protocol):
    """Accounts, their movements, and the receipts of their transactions.

    An async context manager that is entered before anything is asked of it. A store knows nothing
    of credits: it lets a command of `lbproto.ledger.commands` change an account, alone. Any backend
    is shown to do that by `lbproto.testing.ledger`.
    """

    async def transact(
        self, account: Account, transaction_id: str, change: Change[T]
    ) -> Outcome[T]:
        """Apply a command to an account and commit the result.

        `change` is given the account, an empty one where it is not known, and the receipt of the
        transaction, and may be called again with newer ones where somebody else came first; in a
        thread of the store's, too. What it comes to is committed as a whole, or not at all:
        movements are appended, receipts replaced. On return it is as durable as the store is.
        Where state, movements and receipts are as before, nothing is written.

        Raises:
            Whatever `change` raises; nothing has changed then.
            Overloaded: the store cannot be reached, or did not get through in time. Whether it is
                committed is not known then: the same command by the same id tells.
        """
        ...

    async def movements(
        self, account: Account, before: int | None = None, limit: int = 100
    ) -> list[Movement]:
        """The account's history, newest first.

        Args:
            before: only movements of a lower version; None for the newest.
            limit: at most so many.
        """
        ...

    async def due(self, now: int, limit: int = 100) -> list[Account]:
        """Accounts on which time has something to do (`State.due_at` is `now` or earlier)."""
        ...
