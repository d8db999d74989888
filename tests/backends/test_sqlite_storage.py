"""Records in a file: conformance, and what is its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from lbproto import Overloaded, UsageError
from lbproto.backends.sqlite import SQLiteStorage
from lbproto.ledger.sqlite import SQLiteLedger
from lbproto.testing import VirtualClock
from lbproto.testing.storage import MakeStorage, StorageSuite

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "storage.db"


@pytest.fixture
def other(path: Path) -> Iterator[sqlite3.Connection]:
    """Another process, that has the file open too."""
    with closing(sqlite3.connect(path, timeout=5, isolation_level=None)) as connection:
        yield connection


class TestSQLiteStorage(StorageSuite):
    @pytest.fixture
    def make_storage(self, path: Path, clock: VirtualClock) -> MakeStorage:
        return lambda: SQLiteStorage(path, clock=clock)


async def test_times_to_live_go_on_while_nobody_has_it_open(path: Path) -> None:
    """By the wall clock: what another process has counted by is not known."""
    before, after = VirtualClock(), VirtualClock(7.0)
    after.set_wall(before.now() + 50)
    async with SQLiteStorage(path, clock=before) as storage:
        await storage.put("short", b"1", ttl=50)
        await storage.put("long", b"2", ttl=51)
    async with SQLiteStorage(path, clock=after) as storage:
        assert (await storage.get("short"), await storage.get("long")) == (None, b"2")


async def test_without_a_clock_time_is_the_machines(path: Path) -> None:
    async with SQLiteStorage(path) as storage:
        await storage.put("a", b"1", ttl=1e-6)
        await storage.put("b", b"2", ttl=60)
        assert (await storage.get("a"), await storage.get("b")) == (None, b"2")


async def test_what_has_expired_does_not_pile_up(
    path: Path, clock: VirtualClock, other: sqlite3.Connection
) -> None:
    async with SQLiteStorage(path, clock=clock) as storage:
        for turn in range(3):
            async with anyio.create_task_group() as tasks:
                for number in range(50):
                    tasks.start_soon(lambda key: storage.put(key, b"x", ttl=1), f"{turn}/{number}")
            clock.jump(1)
            await storage.put("ever", b"1")
        assert other.execute("SELECT name FROM records").fetchall() == [("ever",)]


async def test_what_cannot_be_kept_takes_nothing_with_it(
    path: Path, other: sqlite3.Connection
) -> None:
    refused: list[int] = []
    async with SQLiteStorage(path) as storage:

        async def put(number: int) -> None:
            try:
                await storage.put(f"{number}" + "\ud800" * (number % 8 == 0), b"x")
            except UnicodeEncodeError:
                refused.append(number)

        other.execute("BEGIN IMMEDIATE")
        async with anyio.create_task_group() as tasks:
            for number in range(32):
                tasks.start_soon(put, number)
            while storage._waiting < 32:
                await anyio.lowlevel.checkpoint()
            other.execute("COMMIT")
        assert sorted(refused) == [0, 8, 16, 24]
        assert other.execute("SELECT count(*) FROM records").fetchone() == (28,)


async def test_a_file_that_another_process_keeps_is_not_waited_for_for_ever(
    path: Path, other: sqlite3.Connection
) -> None:
    async with SQLiteStorage(path, timeout=0.05) as storage:
        await storage.put("a", b"1")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Overloaded, match="The storage cannot be reached"):
            await storage.put("a", b"2")
        assert await storage.get("a") == b"1"  # whoever reads waits for nobody
        other.execute("COMMIT")
        await storage.put("a", b"2")
        assert await storage.get("a") == b"2"


async def test_a_file_that_is_something_else_is_left_alone(path: Path) -> None:
    async with SQLiteLedger(path):
        pass
    with pytest.raises(UsageError, match="is not a storage: it holds something else"):
        await SQLiteStorage(path).__aenter__()
    with pytest.raises(UsageError, match="not open"):
        await SQLiteStorage(path).get("a")
