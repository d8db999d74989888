"""Reservations of requests in every store that needs no server: they are the same in all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lbproto import InsufficientCredits, LedgerStore
from lbproto.credits.accounts import Credits
from lbproto.credits.holds import Hold, Holds, RepeatKey
from lbproto.ledger.account import Account, Kind
from lbproto.ledger.memory import MemoryLedger
from lbproto.ledger.sqlite import SQLiteLedger
from lbproto.testing import VirtualClock

pytestmark = pytest.mark.anyio

ADA = Account("ada")
REPEAT: RepeatKey = ("r1", b"digest")


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[LedgerStore]:
    made = MemoryLedger() if request.param == "memory" else SQLiteLedger(tmp_path / "credits.db")
    async with made:
        yield made


@pytest.fixture
def credits_(store: LedgerStore, clock: VirtualClock) -> Credits:
    return Credits(store, clock)


@pytest.fixture
def holds(credits_: Credits, clock: VirtualClock) -> Holds:
    return Holds(credits_, clock)


async def reserved(holds: Holds, amount: int, repeat: RepeatKey | None = None) -> Hold:
    hold = await holds.reserve(ADA, amount, "work", repeat)
    assert hold.amount
    return hold


async def test_a_reservation_is_enlarged_and_settled(credits_: Credits, holds: Holds) -> None:
    await credits_.grant("ada", 10, "a gift")
    hold = await reserved(holds, 3)
    await holds.enlarge(hold, 1, 4)
    assert (hold.amount, (await credits_.balance("ada")).available) == (7, 3)
    with pytest.raises(InsufficientCredits):
        await holds.enlarge(hold, 4, 4)
    await holds.settle(hold, 6)
    balance = await credits_.balance("ada")
    assert (balance.balance, balance.available, balance.spent) == (4, 4, 6)


async def test_a_retry_finds_what_has_become_of_the_first(
    credits_: Credits, holds: Holds, clock: VirtualClock
) -> None:
    await credits_.grant("ada", 20, "a gift")
    first = await reserved(holds, 5, REPEAT)
    await holds.enlarge(first, 2, 2)
    taken_up = await reserved(holds, 5, REPEAT)
    assert (taken_up.transaction_id, taken_up.amount, taken_up.paid) == (first.transaction_id, 7, 0)
    await holds.settle(taken_up, 6)
    await holds.settle(first, 6)
    nothing = await holds.reserve(ADA, 6, "work", REPEAT)
    assert (nothing.amount, nothing.paid) == (0, 6)
    more = await reserved(holds, 8, REPEAT)
    assert (more.amount, more.paid) == (2, 6)
    await holds.settle(more, 0)  # released: the next attempt is another one
    another = await reserved(holds, 8, REPEAT)
    assert (another.transaction_id != more.transaction_id, another.paid) == (True, 6)
    clock.jump(61)  # expired
    last = await reserved(holds, 8, REPEAT)
    await holds.settle(last, last.amount)
    spent = [each.amount for each in await credits_.history("ada") if each.kind is Kind.DEDUCTED]
    assert spent == [-2, -6]
    clock.jump(600)
    anew = await reserved(holds, 8, REPEAT)
    assert (anew.amount, anew.paid) == (6, 2)
