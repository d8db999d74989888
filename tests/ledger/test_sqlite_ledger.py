"""The ledger in a file: conformance, and what is its own."""

from __future__ import annotations

import shutil
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
from anyio.lowlevel import checkpoint
from anyio.streams.buffered import BufferedByteReceiveStream

from lbproto import Overloaded, UsageError
from lbproto.ledger import sqlite_tables
from lbproto.ledger.account import Account, Kind, Movement, Outcome, Receipt, State, Status
from lbproto.ledger.commands import grant
from lbproto.ledger.sqlite import SQLiteLedger
from lbproto.ledger.sqlite_calls import Command
from lbproto.ledger.sqlite_schema import connect
from lbproto.ledger.sqlite_tables import Tables
from lbproto.testing.ledger import NOW, Book, LedgerSuite, MakeLedger

pytestmark = pytest.mark.anyio


class TestSQLiteLedger(LedgerSuite):
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
def path(tmp_path: Path) -> Path:
    return tmp_path / "credits.db"


@pytest.fixture
def other(path: Path) -> Iterator[sqlite3.Connection]:
    """Another process, that has the file open too."""
    connection = sqlite3.connect(path, timeout=5, isolation_level=None)
    yield connection
    connection.close()


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


class Failing:
    """A connection whose commits fail when asked to: after they were made, or before."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.fails = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
        error = sqlite3.OperationalError("disk I/O error")
        if statement == "COMMIT" and self.fails == "before":
            raise error
        cursor = self._connection.execute(statement, *parameters)
        if statement == "COMMIT" and self.fails == "after":
            raise error
        return cursor


@pytest.fixture
def connection(path: Path) -> Iterator[Failing]:
    with closing(connect(str(path), 5)) as connection:
        yield Failing(connection)


def commit(tables: Tables, number: int, user: str = "ann") -> int:
    """Give 10, in a transaction of its own; the balance."""
    name = f"g{number}"
    command = Command(Account(user), name, grant(name, 10, "gift", NOW))
    tables.commit([command])
    return command.result().state.balance


@pytest.mark.parametrize(("fails", "balance"), [("before", 20), ("after", 30)])
def test_a_commit_that_fails_is_in_the_file_or_not_but_never_only_remembered(
    connection: Failing, fails: str, balance: int
) -> None:
    tables = Tables(cast(sqlite3.Connection, connection))
    commit(tables, 1)
    connection.fails = fails
    with pytest.raises(sqlite3.OperationalError):
        commit(tables, 2)
    assert not connection.in_transaction
    connection.fails = ""
    assert commit(tables, 3) == balance


def test_so_many_accounts_are_remembered(
    connection: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_tables, "_KEPT", 10)
    tables = Tables(cast(sqlite3.Connection, connection))
    for turn in range(2):
        for number in range(50):
            assert commit(tables, turn, f"user-{number}") == 10 * (turn + 1)
            assert len(tables._kept) <= 12


async def test_the_file_itself_refuses_what_does_not_add_up(
    path: Path, other: sqlite3.Connection
) -> None:
    async with SQLiteLedger(path) as ledger:
        book = Book(ledger, Account("ann"))
        await book.grant("g", 5)
        for statement, why in (
            ("UPDATE movements SET amount = 6", "never changed"),
            ("DELETE FROM movements", "never deleted"),
            ("INSERT INTO movements VALUES (1, 2, 'granted', 1, 7, 7, 0, '', 'x', 0)", "add up"),
            ("INSERT INTO movements VALUES (1, 1, 'granted', 5, 5, 5, 0, '', 'x', 0)", "add up|UN"),
            ("INSERT INTO movements VALUES (1, 4, 'granted', 1, 6, 6, 0, '', 'x', 0)", "add up"),
            ("UPDATE accounts SET balance = -1", "CHECK"),
        ):
            with pytest.raises(sqlite3.IntegrityError, match=why):
                other.execute(statement)

        def forge(state: State, known: Receipt | None) -> Outcome[None]:
            movement = Movement(2, Kind.GRANTED, 1, 99, 99, 0, "", "x", NOW)
            return Outcome(State(99, 99, 0, 2), [movement], {}, None)

        with pytest.raises(sqlite3.IntegrityError, match="add up"):
            await ledger.transact(book.account, "x", forge)
        assert (await book.look()).balance == 5


def write_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE notes (note TEXT)")


def write_text(path: Path) -> None:
    path.write_text("longer than the header of a database" * 10)


@pytest.mark.parametrize(
    ("write", "why"), [(write_database, "something else"), (write_text, "cannot be opened")]
)
async def test_a_file_that_is_something_else_is_left_alone(
    path: Path, write: Callable[[Path], None], why: str
) -> None:
    write(path)
    with pytest.raises(UsageError, match=why):
        await SQLiteLedger(path).__aenter__()


async def test_a_file_of_a_later_version_is_left_alone(path: Path) -> None:
    async with SQLiteLedger(path):
        pass
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 99")
    with pytest.raises(UsageError, match="later version"):
        await SQLiteLedger(path).__aenter__()


async def test_what_cannot_be_opened_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be opened: unable to open"):
        await SQLiteLedger(tmp_path / "nowhere" / "credits.db").__aenter__()
    with pytest.raises(UsageError, match="file on a disk"):
        await SQLiteLedger(":memory:").__aenter__()
    ledger = SQLiteLedger(tmp_path / "credits.db")
    with pytest.raises(UsageError, match="not open"):
        await ledger.due(NOW)


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


_SPENDING = """
import sys, anyio
from lbproto.ledger.account import Account
from lbproto.ledger.commands import grant
from lbproto.ledger.sqlite import SQLiteLedger
from lbproto.testing.ledger.book import Book

async def spend(book, task):
    for turn in range(1_000_000):
        name = f"{task}-{turn}"
        await book.reserve(name, 2)
        sys.stdout.write(f"reserved {name}\\n")
        sys.stdout.flush()
        await book.settle(name, 1)
        sys.stdout.write(f"settled {name}\\n")
        sys.stdout.flush()

async def main():
    async with SQLiteLedger(sys.argv[1]) as ledger:
        book = Book(ledger, Account("ann"))
        await book.grant("g", 10_000_000)
        async with anyio.create_task_group() as tasks:
            for task in range(16):
                tasks.start_soon(spend, book, task)

anyio.run(main)
"""


async def test_a_process_that_is_killed_loses_nothing_that_it_has_told(path: Path) -> None:
    command = [sys.executable, "-c", _SPENDING, str(path)]
    told: list[bytes] = []
    async with await anyio.open_process(command, stderr=None) as process:
        assert process.stdout is not None
        lines = BufferedByteReceiveStream(process.stdout)
        with anyio.fail_after(60):
            while len(told) < 500:
                told.append(await lines.receive_until(b"\n", 1_000))
        process.kill()
        await process.wait()
    async with SQLiteLedger(path) as ledger:
        book = Book(ledger, Account("ann"))
        for line in told:
            what, name = line.decode().split()
            held = await book.reserve(name, 2)
            settled = held.status is Status.SETTLED
            assert settled or (what == "reserved" and held.status is Status.OPEN)
        spent = (await book.look()).spent
        assert spent >= sum(line.startswith(b"settled") for line in told)
        await book.check()
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)
