"""What the tests of a store of credits are given."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from lbproto.ledger.account import Account
from lbproto.ledger.store import LedgerStore
from lbproto.testing.ledger.book import Book

__all__ = ["BaseSuite", "MakeLedger"]

MakeLedger = Callable[[str], LedgerStore]
"""Makes a store that is not entered yet.

Stores of the same name, also those that are open at the same time, have the same accounts; a name
that was not used before in this test has none.
"""


class BaseSuite:
    """The fixtures."""

    pytestmark = pytest.mark.anyio

    @pytest.fixture
    def make_ledger(self) -> MakeLedger:
        """The store under test."""
        raise NotImplementedError

    @pytest.fixture
    def crash(self) -> Callable[[str], str]:
        """Leaves a store as a crash of its process does, without closing it.

        Takes the name of a store that is open, and returns the name by which what has survived is
        opened; that is the same one, unless you know of a way to be crueler.
        """
        return lambda name: name

    @pytest.fixture
    async def ledger(self, make_ledger: MakeLedger) -> AsyncIterator[LedgerStore]:
        """An open store without accounts."""
        async with make_ledger("accounts") as ledger:
            yield ledger

    @pytest.fixture
    def book(self, ledger: LedgerStore) -> Book:
        """An account in it."""
        return Book(ledger, Account("ann"))
