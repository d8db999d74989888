from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from threading import Event
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from lbproto import Overloaded, UsageError
from lbproto_market import RESOLUTIONS
from lbproto_market.archive import Archive, ArchiveStatistics, Seen
from lbproto_market.bars import Bar, Mark
from lbproto_market.changes import Settled
from lbproto_market.duckdb_archive import DuckDBArchive
from lbproto_market.trades import Trade

pytestmark = pytest.mark.anyio

_SECOND = RESOLUTIONS["1s"]
_FOREVER = 1 << 60

# Nothing is written unless somebody asks.
_PATIENT = 3600.0


def _bar(opening: int, *, revision: int = 0, closed: bool = True) -> Bar:
    mark = Mark(opening, opening, "v", Decimal(7))
    return Bar(opening, mark, mark, Decimal(7), Decimal(7), Decimal(1), 1, closed, revision)


def _settled(opening: int, **more: Any) -> list[Settled]:
    return [Settled("v", "1s", _bar(opening, **more))]


def _trade(opening: int) -> list[Trade]:
    return [Trade(opening, opening, "v", Decimal(7), Decimal(1))]


async def _openings(archive: Archive) -> list[int]:
    bars = await archive.read("X", ["v"], _SECOND, 0, _FOREVER, 1001)
    return [bar.opening for bar in bars]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "candles.duckdb"


@pytest.fixture
async def archive(path: Path) -> AsyncIterator[DuckDBArchive]:
    async with DuckDBArchive(path, flush_every=_PATIENT) as archive:
        yield archive


async def test_who_reads_sees_what_was_written_before(archive: DuckDBArchive) -> None:
    archive.write("X", 1000, _settled(0), _trade(0))
    archive.write("X", 2000, _settled(1000), _trade(1000))
    assert archive.statistics() == ArchiveStatistics(waiting=2)
    bars = await archive.read("X", ["v"], _SECOND, 0, _FOREVER, 1001)
    assert bars == [_bar(0), _bar(1000)]
    assert archive.statistics() == ArchiveStatistics(written=2)
    now_ms, settled, seen = await archive.resume("X", 10)
    assert now_ms == 2000
    assert [one for one in settled if one.bar.closed] == _settled(0) + _settled(1000)
    assert seen == {"v": Seen(0, [0, 1000])}


async def test_it_is_written_without_anybody_who_asks(path: Path) -> None:
    async with DuckDBArchive(path, flush_every=0.01) as archive:
        archive.write("X", 1000, _settled(0))
        while archive.statistics().written == 0:
            await checkpoint()


async def test_leaving_writes_what_waits_also_when_cancelled(path: Path) -> None:
    with anyio.CancelScope() as scope:
        async with DuckDBArchive(path, flush_every=_PATIENT) as archive:
            archive.write("X", 1500, [*_settled(0), *_settled(1000, closed=False)], _trade(1000))
            scope.cancel()
            await anyio.sleep_forever()
    assert not path.with_name("candles.duckdb.wal").exists()
    async with DuckDBArchive(path) as archive:
        resumption = await archive.resume("X", 10)
        assert resumption.bars[:2] == _settled(0) + _settled(1000, closed=False)
        assert resumption.seen == {"v": Seen(0, [1000])}
    with pytest.raises(UsageError, match="not open: use it inside `async with`"):
        await archive.flush()
    async with archive:  # and once more
        assert await _openings(archive) == [0]


async def test_how_far_time_has_come_is_kept_by_leaving(path: Path) -> None:
    async with DuckDBArchive(path, flush_every=_PATIENT) as archive:
        archive.write("X", 1000, _settled(0))
        await archive.flush()
        archive.write("X", 7000)
    async with DuckDBArchive(path) as archive:
        assert (await archive.resume("X", 10)).now_ms == 7000


async def test_an_error_inside_comes_out_as_it_is(path: Path) -> None:
    with pytest.raises(LookupError, match="ours"):
        async with DuckDBArchive(path):
            raise LookupError("ours")


async def test_it_is_opened_once(archive: DuckDBArchive, path: Path) -> None:
    with pytest.raises(UsageError, match="open already: make one for each server"):
        await archive.__aenter__()
    with pytest.raises(UsageError, match="in use by this process"):
        await DuckDBArchive(path).__aenter__()


async def test_what_cannot_be_opened_says_so_and_may_be_tried_again(path: Path) -> None:
    archive = DuckDBArchive(path)
    await anyio.Path(path).write_text("no database" * 100)
    with pytest.raises(UsageError, match="not a valid DuckDB database"):
        await archive.__aenter__()
    await anyio.Path(path).unlink()
    async with archive:
        assert await _openings(archive) == []


@pytest.mark.parametrize(
    "argument",
    [
        {"keep_seconds": timedelta()},
        {"remember": timedelta(-1)},
        {"flush_every": 0},
        {"waiting": 0},
        {"memory": -1},
    ],
)
def test_arguments_make_sense(path: Path, argument: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"above 0|longer than no time"):
        DuckDBArchive(path, **argument)


async def test_what_no_file_could_keep_is_lost_and_told(
    archive: DuckDBArchive, caplog: pytest.LogCaptureFixture
) -> None:
    mark = Mark(0, 0, "v", Decimal("1E+30"))
    huge = Bar(0, mark, mark, mark.price, mark.price, Decimal(1), 1, True)
    archive.write("X", 2000, [Settled("v", "1s", huge), *_settled(1000)])
    assert await _openings(archive) == [1000]
    assert archive.statistics() == ArchiveStatistics(written=1, lost=1)
    assert "1 candles are lost since it was opened" in caplog.text


class _Disk:
    """Stands between an archive and its file, and is slow when told so."""

    def __init__(self, archive: DuckDBArchive) -> None:
        self._commit = archive._tables.commit
        self.works = Event()
        archive._tables.commit = self.commit  # type: ignore[method-assign]

    def commit(self, batch: Any) -> int:
        self.works.wait(30)
        return self._commit(batch)


async def test_nothing_but_readers_waits_for_a_disk_that_hangs(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with DuckDBArchive(path, flush_every=_PATIENT, timeout=0.05, waiting=3) as archive:
        disk = _Disk(archive)
        archive.write("X", 1000, _settled(0))
        with pytest.raises(Overloaded, match="takes too long") as refusal:
            await _openings(archive)
        assert refusal.value.retry_after == 5
        for second in range(1, 9):
            archive.write("X", second * 1000 + 1000, _settled(second * 1000))
        assert archive.statistics() == ArchiveStatistics(waiting=4, lost=5)
        disk.works.set()
        assert (await archive.resume("X", 1)).now_ms == 9000  # however long it takes
        archive._timeout = 30
        assert await _openings(archive) == [0, 6000, 7000, 8000]
    assert "5 candles are lost since it was opened" in caplog.text


async def test_leaving_does_not_wait_for_a_disk_that_hangs(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with DuckDBArchive(path, flush_every=_PATIENT, timeout=0.05) as archive:
        disk = _Disk(archive)
        archive.write("X", 1000, _settled(0))
    assert "closed with 1 candles unwritten" in caplog.text
    disk.works.set()


async def test_too_many_readers_are_refused(path: Path) -> None:
    refused = 0
    async with DuckDBArchive(path, flush_every=0.01) as archive, anyio.create_task_group() as tasks:

        async def ask() -> None:
            nonlocal refused
            try:
                await archive.flush()
            except Overloaded:
                refused += 1

        disk = _Disk(archive)
        archive.write("X", 1000, _settled(0))
        while len(archive._backlog):
            await checkpoint()
        for _ in range(100):
            tasks.start_soon(ask)
        while refused < 36:
            await checkpoint()
        disk.works.set()
    assert refused == 36


async def test_a_file_that_cannot_be_read_is_told_to_readers_and_opened_again(
    archive: DuckDBArchive, caplog: pytest.LogCaptureFixture
) -> None:
    archive.write("X", 1000, _settled(0))
    await archive.flush()
    connection = archive._tables._connection
    assert connection is not None
    connection.execute("DROP TABLE seconds")
    with pytest.raises(Overloaded, match="cannot be read now"):
        await _openings(archive)
    assert "cannot be read" in caplog.text
