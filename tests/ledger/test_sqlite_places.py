"""Where movements lie in the file of a `SQLiteLedger`, and how they are found again."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from lbproto.backends.sqlite_schema import Schema, connect
from lbproto.ids import ordered_id
from lbproto.ledger.account import Account, Movement, Status
from lbproto.ledger.commands import grant
from lbproto.ledger.memory import MemoryLedger
from lbproto.ledger.sqlite import SQLiteLedger
from lbproto.ledger.sqlite_calls import Command
from lbproto.ledger.sqlite_schema import SCHEMA
from lbproto.ledger.sqlite_tables import Tables
from lbproto.ledger.sqlite_trail import follow
from lbproto.testing.ledger import NOW, Book

_USERS = 5


def test_each_movement_leads_to_the_one_before_and_to_one_far_before() -> None:
    trail: list[int] = []
    places: dict[int | None, int] = {None: 0}  # of versions; there is no version 0
    for version in range(1, 200):
        place = 7 * version
        previous, far = follow(trail, version, place)
        places[place] = version
        assert places[previous] == version - 1
        assert places[far] == version & (version - 1)
        assert len(trail) == version.bit_count()


def test_histories_that_lie_among_each_other_are_read_from_any_version(path: Path) -> None:
    def opened() -> Tables:
        return Tables(connect(str(path), 5, SCHEMA))

    tables = opened()
    made: dict[str, list[Movement]] = {f"user-{number}": [] for number in range(_USERS)}
    for turn in range(70):
        if turn % 9 == 8:  # what is remembered is read again
            tables.close()
            tables = opened()
        for number, (user, movements) in enumerate(made.items()):
            if turn % (number + 1) == 0:
                name = f"g{turn}"
                command = Command(Account(user), name, grant(name, 10, "gift", NOW))
                tables.commit([command])
                movements.append(command.result().answer)
    for user, movements in made.items():
        newest = movements[::-1]
        account = Account(user)
        assert tables.movements(account, None, 100) == newest
        for before in (-(2**70), 0, *range(1, len(movements) + 3), 2**70):
            for limit in (0, 1, 3):
                expected = [each for each in newest if each.version < before][:limit]
                assert tables.movements(account, before, limit) == expected
    tables.close()


def test_a_commit_writes_few_pages_however_many_accounts_it_is_about(path: Path) -> None:
    tables = Tables(connect(str(path), 5, SCHEMA))
    log = path.with_name(path.name + "-wal")
    accounts = [Account(f"user-{number}") for number in range(64)]
    for moment in range(NOW, NOW + 60):
        names = [ordered_id(moment) for _ in accounts]
        before = log.stat().st_size
        tables.commit(
            [
                Command(account, name, grant(name, 1, "gift", moment))
                for account, name in zip(accounts, names, strict=True)
            ]
        )
        assert log.stat().st_size - before <= 16 * (4_096 + 24)
    tables.close()


def write_as_first(
    connection: sqlite3.Connection, id_: int, ledger: MemoryLedger, account: Account
) -> None:
    """Put an account into a file as the first version did."""
    record = ledger._records[account]
    state = record.state
    held = msgspec.msgpack.encode((state.lots, state.reservations))
    figures = (state.balance, state.earned, state.spent, state.version, state.due_at)
    connection.execute(
        "INSERT INTO accounts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (id_, *account, *figures, held)
    )
    for movement in record.movements:
        receipt = record.receipts[movement.transaction_id]
        reserved = receipt.command[1] if receipt.status is Status.SETTLED else None
        version, kind, *rest = msgspec.structs.astuple(movement)
        connection.execute(
            "INSERT INTO movements VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (id_, version, str(kind), *rest, reserved),
        )
    for name, receipt in record.receipts.items():
        if receipt.status in (Status.DONE, Status.RELEASED):
            version = receipt.movement and receipt.movement.version
            connection.execute(
                "INSERT INTO receipts VALUES (?, ?, ?, ?, ?, ?, ?)",
                (id_, name, *receipt.command, str(receipt.status), version),
            )


@pytest.mark.anyio
async def test_a_file_of_the_first_version_is_brought_to_this_one(path: Path) -> None:
    before = MemoryLedger()
    books = [Book(before, Account(f"user-{number}")) for number in range(3)]
    for book in books:
        await book.grant("g", 30)
        await book.reserve("released", 5)
        await book.release("released")
        for number in range(10):
            await book.reserve(f"r{number}", 3)
            await book.settle(f"r{number}", 2)
        await book.reserve("open", 4)
    first = Schema(SCHEMA.name, SCHEMA.mark, SCHEMA.migrations[:1])
    with closing(connect(str(path), 5, first)) as other, other:
        for id_, book in enumerate(books, 1):
            write_as_first(other, id_, before, book.account)
    async with SQLiteLedger(path) as ledger:
        for old in books:
            book = Book(ledger, old.account)
            assert await book.history() == await old.history()
            assert await book.state() == await old.state()
            assert await book.settle("r3", 2) == await old.settle("r3", 2)
            assert await book.grant("g", 30) == await old.grant("g", 30)
            assert (await book.reserve("released", 5)).status is Status.RELEASED
            assert await book.settle("open", 4) == await old.settle("open", 4)
            await book.grant("more", 1)
            await book.check()
