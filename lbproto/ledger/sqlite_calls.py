"""What is asked of the thread of a `SQLiteLedger`."""

from __future__ import annotations

from typing import TypeVar

from lbproto.backends import sqlite_calls
from lbproto.ledger.account import Account, Change, Outcome

__all__ = ["Command"]

T = TypeVar("T")


class Command(sqlite_calls.Command[Outcome[T]]):
    """A change of an account."""

    __slots__ = ("account", "change", "transaction_id")

    def __init__(self, account: Account, transaction_id: str, change: Change[T]) -> None:
        self.done = None  # what `super` would do, in half the time: there are many of these
        self.error = None
        self.answer = None
        self.account = account
        self.transaction_id = transaction_id
        self.change = change
