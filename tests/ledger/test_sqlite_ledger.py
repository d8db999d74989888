"""The ledger in a file: conformance, and what is its own."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import anyio
import pytest
from anyio.lowlevel import checkpoint

from lbproto import Overloaded, UsageError
from lbproto.ledger.account import Account
from lbproto.ledger.sqlite import SQLiteLedger
from lbproto.ledger.sqlite_calls import Command
from lbproto.ledger.sqlite_tables import Tables
from lbproto.testing.ledger import NOW, Book, LedgerSuite, MakeLedger

pytestmark = pytest.mark.anyio


class TestSQLiteLedger(LedgerSuite):
    interleavings = 8

    @pytest.fixture
    def make_ledger(self, tmp_path: Path) -> MakeLedger:
        return lambda name: SQLiteLedger(tmp_path / name)

    @pytest.fixture
    def crash(self, tmp_path: Path) -> Callable[[str], str]:
        """What the disk has: the file and its log, without the memory that processes share."""
        numbers = count()

        def crash(name: str) -> str:
            left = f"{name}-{next(numbers)}"
            for suffix in ("", "-wal"):
                shutil.copy(tmp_path / f"{name}{suffix}", tmp_path / f"{left}{suffix}")
            return left

        return crash


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many commands each transaction has had."""
    sizes: list[int] = []
    commit = Tables.commit

    def counted(self: Tables, commands: Sequence[Command[object]]) -> None:
        sizes.append(len(commands))
        commit(self, commands)

    monkeypatch.setattr(Tables, "commit", counted)
    return sizes


async def begun(ledger: SQLiteLedger, calls: int) -> None:
    """Wait until so many wait for an answer."""
    while ledger._waiting < calls:
        await checkpoint()


async def test_what_waits_is_committed_together(
    path: Path, other: sqlite3.Connection, batches: list[int]
) -> None:
    async with SQLiteLedger(path) as ledger:
        book = Book(ledger, Account("ann"))
        other.execute("BEGIN IMMEDIATE")
        async with anyio.create_task_group() as tasks:
            for number in range(64):
                tasks.start_soon(book.grant, f"g{number}", 1)
            await begun(ledger, 64)
            other.execute("COMMIT")
        assert sum(batches) == 64
        assert len(batches) <= 2
        assert (await book.look()).balance == 64


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # trio wakes tasks in any order
async def test_those_who_are_answered_together_ask_together(path: Path, batches: list[int]) -> None:
    async def give(task: int) -> None:
        for number in range(5):
            await book.grant(f"{task}-{number}", 1)

    async with SQLiteLedger(path) as ledger:
        book = Book(ledger, Account("ann"))
        async with anyio.create_task_group() as tasks:
            for task in range(16):
                tasks.start_soon(give, task)
    assert batches == [1, 15 + 1, 16, 16, 16, 15]  # nobody waits for those who come after the first


async def test_no_more_are_committed_together_than_asked_for(
    path: Path, other: sqlite3.Connection, batches: list[int]
) -> None:
    async with SQLiteLedger(path, batch=10) as ledger:
        book = Book(ledger, Account("ann"))
        other.execute("BEGIN IMMEDIATE")
        async with anyio.create_task_group() as tasks:
            for number in range(64):
                tasks.start_soon(book.grant, f"g{number}", 1)
            await begun(ledger, 64)
            other.execute("COMMIT")
        assert max(batches) == 10
        assert (await book.look()).balance == 64


async def test_the_queue_has_a_bound(path: Path, other: sqlite3.Connection) -> None:
    async with SQLiteLedger(path, waiting=5) as ledger:
        book = Book(ledger, Account("ann"))
        other.execute("BEGIN IMMEDIATE")
        async with anyio.create_task_group() as tasks:
            for number in range(5):
                tasks.start_soon(book.grant, f"g{number}", 1)
            await begun(ledger, 5)
            for ask in (book.look(), ledger.movements(book.account), ledger.due(NOW)):
                with pytest.raises(Overloaded, match="Too many"):
                    await ask
            other.execute("COMMIT")
        assert (await book.look()).balance == 5


async def test_a_file_that_another_process_keeps_is_not_waited_for_for_ever(
    path: Path, other: sqlite3.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    async with SQLiteLedger(path, timeout=0.05) as ledger:
        book = Book(ledger, Account("ann"))
        await book.grant("g", 1)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Overloaded, match="cannot be reached") as refusal:
            await book.grant("h", 1)
        assert refusal.value.code.retryable
        assert "database is locked" in caplog.text
        assert len(await ledger.movements(book.account)) == 1  # whoever reads waits for nobody
        other.execute("COMMIT")
        await book.grant("h", 1)
        assert (await book.look()).balance == 2


async def test_who_is_cancelled_leaves_the_command_to_be_committed(
    path: Path, other: sqlite3.Connection
) -> None:
    async with SQLiteLedger(path) as ledger:
        book = Book(ledger, Account("ann"))
        other.execute("BEGIN IMMEDIATE")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(book.grant, "g", 1)
            await begun(ledger, 1)
            tasks.cancel_scope.cancel()
        assert ledger._waiting == 1
        other.execute("COMMIT")
        assert (await book.look()).balance == 1
        assert ledger._waiting == 0


async def test_closing_answers_everybody_first(path: Path, other: sqlite3.Connection) -> None:
    told: list[int] = []

    async def give(number: int) -> None:
        await book.grant(f"g{number}", 1)
        told.append(number)

    async with anyio.create_task_group() as tasks:
        async with SQLiteLedger(path) as ledger:
            book = Book(ledger, Account("ann"))
            other.execute("BEGIN IMMEDIATE")
            for number in range(64):
                tasks.start_soon(give, number)
            await begun(ledger, 64)
            other.execute("COMMIT")
        with pytest.raises(UsageError, match="not open"):
            await book.look()
    assert sorted(told) == list(range(64))


async def test_what_cannot_be_kept_takes_nothing_with_it(
    path: Path, other: sqlite3.Connection, batches: list[int]
) -> None:
    refused: list[int] = []
    async with SQLiteLedger(path) as ledger:
        book = Book(ledger, Account("ann"))

        async def give(number: int) -> None:
            reason = "half of a pair: \ud800" if number % 8 == 0 else "gift"
            try:
                await book.grant(f"g{number}", 1, reason=reason)
            except UnicodeEncodeError:
                refused.append(number)

        other.execute("BEGIN IMMEDIATE")
        async with anyio.create_task_group() as tasks:
            for number in range(32):
                tasks.start_soon(give, number)
            await begun(ledger, 32)
            other.execute("COMMIT")
        assert max(batches) > 1
        assert sorted(refused) == [0, 8, 16, 24]
        assert (await book.look()).balance == 28
        await book.check()


async def test_what_is_remembered_of_an_account_is_what_another_process_has_left(
    path: Path, other: sqlite3.Connection
) -> None:
    async with SQLiteLedger(path) as one, SQLiteLedger(path) as two:
        books = [Book(ledger, Account("ann")) for ledger in (one, two)]
        for number in range(40):
            book = books[number // 3 % 2]
            await book.grant(f"g{number}", 10)
            await book.reserve(f"r{number}", 4)
            await books[number // 5 % 2].settle(f"r{number}", 3)
            assert (await book.look()).balance == 7 * (number + 1)
        await books[0].check()
        await books[1].check()
        other.execute("UPDATE accounts SET balance = 1000")
        for book in books:
            assert (await book.look()).balance == 1_000


async def test_many_make_the_file_at_once(path: Path) -> None:
    async def use(number: int) -> None:
        async with SQLiteLedger(path) as ledger:
            await Book(ledger, Account("ann")).grant(f"g{number}", 1)

    async with anyio.create_task_group() as tasks:
        for number in range(16):
            tasks.start_soon(use, number)
    async with SQLiteLedger(path) as ledger:
        book = Book(ledger, Account("ann"))
        assert (await book.look()).balance == 16
        await book.check()


async def test_the_thread_ends_with_the_ledger(path: Path) -> None:
    async with SQLiteLedger(path):
        (thread,) = (one for one in threading.enumerate() if str(path) in one.name)
        with pytest.raises(UsageError):
            await SQLiteLedger(path / "nowhere").__aenter__()
    thread.join(10)  # it has said that it is done, and is about to end
    assert not [one for one in threading.enumerate() if one.name == thread.name]
