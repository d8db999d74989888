"""The file of the ledger of SQLite: what it keeps, what it refuses, and what is left alone."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from lbproto import InvalidRequest, UsageError
from lbproto.backends.sqlite_schema import connect
from lbproto.ledger import sqlite_tables
from lbproto.ledger.account import Account, Kind, Movement, Outcome, Receipt, State, Status
from lbproto.ledger.commands import grant
from lbproto.ledger.sqlite import SQLiteLedger
from lbproto.ledger.sqlite_calls import Command
from lbproto.ledger.sqlite_schema import SCHEMA
from lbproto.ledger.sqlite_tables import Tables
from lbproto.testing.ledger import NOW, Book

pytestmark = pytest.mark.anyio


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
    with closing(connect(str(path), 5, SCHEMA)) as connection:
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
        insert = "INSERT INTO movements VALUES"
        for statement, why in (
            ("UPDATE movements SET amount = 6", "never changed"),
            ("DELETE FROM movements", "never deleted"),
            (f"{insert} (2, 1, 2, 'granted', 1, 7, 7, 0, '', 'x', 0, NULL, 1, NULL)", "add up"),
            (f"{insert} (2, 1, 1, 'granted', 5, 5, 5, 0, '', 'x', 0, NULL, 1, NULL)", "add up|UN"),
            (f"{insert} (2, 1, 4, 'granted', 1, 6, 6, 0, '', 'x', 0, NULL, 1, NULL)", "add up"),
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


@pytest.mark.parametrize("command", [("reserve", 2, "something else"), ("other", 2, "a gift")])
async def test_a_receipt_of_which_its_movement_does_not_say_all_is_kept(
    path: Path, command: tuple[str, int, str]
) -> None:
    ann = Account("ann")
    movement = Movement(1, Kind.GRANTED, 5, 5, 5, 0, "a gift", "x", NOW)
    receipt = Receipt(command, Status.SETTLED, movement)

    def give(state: State, known: Receipt | None) -> Outcome[None]:
        return Outcome(State(5, 5, 0, 1), [movement], {"x": receipt}, None)

    def ask(state: State, known: Receipt | None) -> Outcome[Receipt | None]:
        return Outcome(state, [], {}, known)

    async with SQLiteLedger(path) as ledger:
        await ledger.transact(ann, "x", give)
    async with SQLiteLedger(path) as ledger:
        assert (await ledger.transact(ann, "x", ask)).answer == receipt


async def test_the_file_itself_refuses_to_settle_twice(
    path: Path, other: sqlite3.Connection
) -> None:
    async with SQLiteLedger(path) as ledger:
        book = Book(ledger, Account("ann"))
        await book.grant("g", 5)
        await book.reserve("r", 2)
        await book.settle("r", 2)

        def spend(state: State, known: Receipt | None) -> Outcome[None]:
            assert known is not None
            movement = Movement(3, Kind.DEDUCTED, -2, 1, 5, 4, "buy", "r", NOW)
            note = Receipt(("reserve", 2, "buy"), Status.SETTLED, movement)
            return Outcome(State(1, 5, 4, 3), [movement], {"r": note}, None)

        def release(state: State, known: Receipt | None) -> Outcome[None]:
            return Outcome(state, [], {"r": Receipt(("reserve", 2, "buy"), Status.RELEASED)}, None)

        for forge, why in ((spend, "UNIQUE"), (release, "settled once, and for good")):
            with pytest.raises(sqlite3.IntegrityError, match=why):
                await ledger.transact(book.account, "r", forge)
        assert (await book.look()).balance == 3
        await book.check()


@pytest.mark.parametrize(("spent", "rows"), [(5, 0), (3, 0), (8, 0), (0, 1)])
async def test_what_a_movement_says_is_not_kept_in_a_receipt_besides(
    path: Path, other: sqlite3.Connection, spent: int, rows: int
) -> None:
    async with SQLiteLedger(path) as ledger:
        book = Book(ledger, Account("ann"))
        await book.grant("g", 10)
        await book.reserve("r", 5)
        settled = await book.settle("r", spent)
        query = "SELECT count(*) FROM receipts WHERE transaction_id = 'r'"
        assert other.execute(query).fetchone() == (rows,)
    async with SQLiteLedger(path) as ledger:
        book = Book(ledger, Account("ann"))
        assert (await book.reserve("r", 5)).status is Status.SETTLED
        assert await book.settle("r", spent) == settled
        for ask in (book.settle("r", 1), book.reserve("r", 4), book.release("r")):
            with pytest.raises(InvalidRequest):
                await ask
        assert (await book.look()).balance == 10 - spent
        await book.check()


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
