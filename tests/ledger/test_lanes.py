"""Changes that wait for a database: what is committed together, and who is told what."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from lbproto.errors import InsufficientCredits, InvalidRequest, Overloaded, UsageError
from lbproto.ledger.account import Account, Outcome, State
from lbproto.ledger.commands import adjust, grant, reserve, settle
from lbproto.ledger.lanes import Commit, Lanes, Waiting, fold
from lbproto.testing.ledger import NOW

pytestmark = pytest.mark.anyio

ANN = Account("ann")


class Database:
    """Accounts in memory, committed when it is let.

    Attributes:
        committed: the transaction ids of each commit.
        broken: what the next commits raise.
    """

    def __init__(self) -> None:
        self.committed: list[list[str]] = []
        self.broken: Exception | None = None
        self.begun = 0
        self._states: dict[Account, State] = {}
        self._free = anyio.Semaphore(0)

    def let(self, commits: int) -> None:
        for _ in range(commits):
            self._free.release()

    async def commit(
        self, account: Account, waiting: Sequence[Waiting[Any]]
    ) -> Sequence[Outcome[Any] | Exception]:
        self.begun += 1
        batch = fold(self._states.get(account, State()), {}, waiting)
        await self._free.acquire()
        if self.broken is not None:
            raise self.broken
        self.committed.append([each.transaction_id for each in waiting])
        self._states[account] = batch.state
        return batch.results


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """They are asyncio's; other event loops come to them by a bridge, as the stores' tests show."""
    return "asyncio", {"debug": True}


@asynccontextmanager
async def lanes(
    commit: Commit, patience: float = 60.0, depth: int = 100, width: int = 2
) -> AsyncIterator[Lanes]:
    made = Lanes(commit, patience, depth, width)
    yield made
    await made.aclose()


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(60):
        while not condition():
            await checkpoint()


async def test_what_comes_during_a_commit_is_committed_together() -> None:
    database = Database()
    async with lanes(database.commit) as made, anyio.create_task_group() as tasks:
        tasks.start_soon(made.transact, ANN, "g", grant("g", 100, "gift", NOW))
        await until(lambda: database.begun == 1)
        for number in range(80):
            name = f"a{number}"
            tasks.start_soon(made.transact, ANN, name, adjust(name, -1, "mistake", NOW))
        database.let(3)
    first, second, third = database.committed
    assert first == ["g"]
    assert second + third == [f"a{number}" for number in range(80)]
    assert len(second) == 64


async def test_accounts_do_not_wait_for_each_other_but_for_a_slot() -> None:
    database = Database()
    async with lanes(database.commit, width=2) as made, anyio.create_task_group() as tasks:
        for number in range(3):
            account = Account(f"user-{number}")
            tasks.start_soon(made.transact, account, "g", grant("g", 1, "gift", NOW))
        await until(lambda: database.begun == 2)
        for _ in range(100):
            await checkpoint()
        assert database.begun == 2
        database.let(3)
    assert database.begun == 3


async def test_nobody_is_refused_before_what_they_were_refused_for_is_committed() -> None:
    database = Database()
    errors: list[Exception] = []

    async def spend(name: str) -> None:
        try:
            await made.transact(ANN, name, reserve(name, 10, "buy", NOW, NOW + 9))
        except (Overloaded, InsufficientCredits) as error:
            errors.append(error)

    async with lanes(database.commit) as made:
        database.let(1)
        await made.transact(ANN, "g", grant("g", 10, "gift", NOW))
        database.broken = Overloaded("The disk is full", retry_after=7)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(spend, "one")
            tasks.start_soon(spend, "two")
            await until(lambda: database.begun == 2)
            assert errors == []
            database.let(1)
        for error in errors:
            assert isinstance(error, Overloaded)
            assert (error.message, error.retry_after) == ("The disk is full", 7)
        assert errors[0] is not errors[1]
        database.broken = None
        database.let(1)
        outcome = await made.transact(ANN, "two", reserve("two", 10, "buy", NOW, NOW + 9))
        assert outcome.answer.amount == 10


async def test_a_mistake_of_the_store_is_told_as_it_is() -> None:
    database = Database()
    database.broken = ZeroDivisionError()
    database.let(1)
    async with lanes(database.commit) as made:
        with pytest.raises(ZeroDivisionError):
            await made.transact(ANN, "g", grant("g", 10, "gift", NOW))


async def test_who_is_cancelled_before_the_commit_changes_nothing() -> None:
    database = Database()
    async with lanes(database.commit) as made, anyio.create_task_group() as tasks:
        tasks.start_soon(made.transact, ANN, "g", grant("g", 1, "gift", NOW))
        await until(lambda: database.begun == 1)
        tasks.start_soon(made.transact, ANN, "a", adjust("a", -1, "mistake", NOW))
        await checkpoint()
        with anyio.CancelScope() as scope:
            scope.cancel()
            await made.transact(ANN, "late", grant("late", 1, "gift", NOW))
        database.let(2)
    assert database.committed == [["g"], ["a"]]


async def test_who_is_cancelled_during_the_commit_does_not_undo_it() -> None:
    database = Database()
    async with lanes(database.commit) as made:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(made.transact, ANN, "g", grant("g", 1, "gift", NOW))
            await until(lambda: database.begun == 1)
            tasks.cancel_scope.cancel()
        database.let(2)
        await made.transact(ANN, "a", adjust("a", -1, "mistake", NOW))
    assert database.committed == [["g"], ["a"]]


async def test_what_hangs_does_not_collect_lanes() -> None:
    database = Database()
    async with lanes(database.commit, patience=0.05, width=1) as made:
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(_is_told_to_wait, made, Account(f"user-{number}"))
        await until(lambda: len(made._lanes) == 1)  # the one whose commit hangs
        assert database.begun == 1
        database.let(2)
        outcome = await made.transact(ANN, "g", grant("g", 1, "gift", NOW))
        assert outcome.answer.balance == 1


async def _is_told_to_wait(made: Lanes, account: Account) -> None:
    with pytest.raises(Overloaded, match="takes too long"):
        await made.transact(account, "g", grant("g", 1, "gift", NOW))


async def test_closing_tells_those_who_wait() -> None:
    database = Database()
    told: list[str] = []

    async def ask(name: str) -> None:
        try:
            await made.transact(ANN, name, grant(name, 1, "gift", NOW))
        except Overloaded as error:
            told.append(error.message)

    async with lanes(database.commit) as made, anyio.create_task_group() as tasks:
        tasks.start_soon(ask, "one")
        await until(lambda: database.begun == 1)
        tasks.start_soon(ask, "two")
        await checkpoint()
        await made.aclose()
    assert told == ["The credit store is closing; try again"] * 2
    with pytest.raises(UsageError):
        await made.transact(ANN, "three", grant("three", 1, "gift", NOW))


async def test_a_change_sees_what_those_before_it_have_made() -> None:
    waiting: list[Waiting[Any]] = [
        Waiting("g", grant("g", 10, "gift", NOW)),
        Waiting("r", reserve("r", 4, "buy", NOW, NOW + 9)),
        Waiting("r", reserve("r", 5, "buy", NOW, NOW + 9)),
        Waiting("r", settle("r", 3, NOW)),
        Waiting("r", settle("r", 3, NOW)),
        Waiting("big", reserve("big", 8, "buy", NOW, NOW + 9)),
    ]
    before = State()
    batch = fold(before, {}, waiting)
    raised = [type(result) for result in batch.results if isinstance(result, Exception)]
    assert raised == [InvalidRequest, InsufficientCredits]
    assert batch.is_change
    assert batch.state.balance == 7
    assert [one.amount for one in batch.movements] == [10, -3]
    assert set(batch.receipts) == {"g", "r"}
    assert before == State()
    again = fold(batch.state, batch.receipts, [waiting[0], waiting[4]])
    assert not again.is_change
    assert [_answer(one) for one in again.results] == [
        _answer(batch.results[0]),
        _answer(batch.results[3]),
    ]


def _answer(result: Outcome[Any] | Exception) -> Any:
    assert isinstance(result, Outcome)
    return result.answer
