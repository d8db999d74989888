"""The ledger in memory: what is its own; the rest is in the suite that every store passes."""

from __future__ import annotations

from collections import defaultdict

import pytest

from lbproto.ledger.account import Account
from lbproto.ledger.commands import grant, look, reserve, settle
from lbproto.ledger.memory import MemoryLedger
from lbproto.testing.ledger import LedgerSuite, MakeLedger

pytestmark = pytest.mark.anyio

NOW = 1_768_910_400_000


async def test_an_account_that_is_used_all_the_time_is_queued_once() -> None:
    ledger, account = MemoryLedger(), Account("ann")
    await ledger.transact(account, "g", grant("g", 1_000, "gift", NOW))
    for number in range(1_000):
        now, name = NOW + number, f"r{number}"
        await ledger.transact(account, name, reserve(name, 1, "buy", now, now + 60_000))
        await ledger.transact(account, name, settle(name, 1, now))
    assert len(ledger._queue) == 1
    assert await ledger.due(NOW + 61_000) == []
    assert ledger._queue == []


async def test_accounts_stay_due_until_they_are_looked_at() -> None:
    ledger = MemoryLedger()
    accounts = [Account(f"user-{number}") for number in range(10)]
    for number, account in enumerate(accounts):
        change = grant("g", 5, "gift", NOW, expires_at=NOW + 1_000 + number)
        await ledger.transact(account, "g", change)
    for _ in range(2):
        assert await ledger.due(NOW + 1_004) == accounts[:5]
        assert await ledger.due(NOW + 1_004, limit=2) == accounts[:2]
    for account in accounts[:5]:
        await ledger.transact(account, "", look(NOW + 1_004))
    assert await ledger.due(NOW + 1_004) == []
    assert await ledger.due(NOW + 9_999) == accounts[5:]


async def test_a_refused_command_leaves_no_account_behind() -> None:
    ledger = MemoryLedger()
    await ledger.transact(Account("ann"), "", look(NOW))
    assert ledger._records == {}


class TestMemoryLedger(LedgerSuite):
    @pytest.fixture
    def make_ledger(self) -> MakeLedger:
        return defaultdict[str, MemoryLedger](MemoryLedger).__getitem__
