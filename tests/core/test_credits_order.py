"""Movements are told in order, however the store's answers overtake each other."""

from __future__ import annotations

from typing import TypeVar

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproto.clock import SystemClock
from lbproto.credits.accounts import Credits
from lbproto.ledger.account import Account, Change, Kind, Movement, Outcome
from lbproto.ledger.memory import MemoryLedger
from lbproto.ledger.order import InOrder
from lbproto.testing import settle

T = TypeVar("T")


def movement(version: int) -> Movement:
    return Movement(version, Kind.GRANTED, 1, version, version, 0, "", str(version), 0)


@given(st.data())
def test_versions_are_let_go_in_order_and_none_is_kept(data: st.DataObject) -> None:
    """Tasks begin, are committed, and hear of it, each in an order of its own."""
    order = InOrder()
    version = data.draw(st.integers(0, 3))  # there were others before us
    begun: list[int] = []  # not committed
    committed: list[tuple[int, list[int]]] = []  # not answered
    told: list[int] = []
    expected: list[int] = []
    for _ in range(data.draw(st.integers(0, 30))):
        what = data.draw(st.sampled_from(["begin", "commit", "answer", "elsewhere"]))
        if what == "begin":
            begun.append(order.begin())
        elif what == "commit" and begun:
            number = begun.pop(data.draw(st.integers(0, len(begun) - 1)))
            versions = list(range(version + 1, version + 1 + data.draw(st.integers(0, 2))))
            version += len(versions)
            expected += versions
            committed.append((number, versions))
        elif what == "answer" and committed:
            number, versions = committed.pop(data.draw(st.integers(0, len(committed) - 1)))
            told += [each.version for each in order.end(number, [movement(v) for v in versions])]
        elif what == "elsewhere":  # another node
            version += 1
        assert told == sorted(told)
    for number in begun:
        told += [each.version for each in order.end(number, [])]  # they have failed
    for number, versions in committed:
        told += [each.version for each in order.end(number, [movement(v) for v in versions])]
    assert told == expected
    assert not order.under_way


def test_the_next_version_does_not_wait_for_others() -> None:
    order = InOrder()
    first, second, third = (order.begin() for _ in range(3))
    assert [each.version for each in order.end(second, [movement(1)])] == [1]
    assert order.end(first, [movement(3)]) == []
    assert [each.version for each in order.end(third, [movement(2)])] == [2, 3]


class Overtaking(MemoryLedger):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.gates: list[anyio.Event] = []

    async def transact(
        self, account: Account, transaction_id: str, change: Change[T]
    ) -> Outcome[T]:
        outcome = await super().transact(account, transaction_id, change)
        gate = anyio.Event()
        self.gates.append(gate)
        await gate.wait()
        return outcome


@pytest.mark.anyio
async def test_the_facade_tells_them_in_order() -> None:
    store = Overtaking()
    told: list[tuple[str, int]] = []
    credits_ = Credits(
        store, SystemClock(), lambda account, each: told.append((account.user_id, each.version))
    )
    async with anyio.create_task_group() as tasks:
        for user in ("ada", "ada", "ada", "bob"):
            tasks.start_soon(credits_.grant, user, 1, "a gift")
            await settle()
        for number, expected in [
            (3, [("bob", 1)]),  # other accounts do not wait
            (2, []),
            (1, []),
            (0, [("ada", 1), ("ada", 2), ("ada", 3)]),
        ]:
            told.clear()
            store.gates[number].set()
            await settle()
            assert told == expected
    assert credits_._orders == {}
