from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest

from lbproto import (
    InvalidRequest,
    LimitExceeded,
    NotFound,
    Overloaded,
    RequestTimeout,
    UsageError,
)
from lbproto_query import DuckDBEngine, Limits, Progress, QueryRequest, Rows
from lbproto_query.streams import WorkerStream
from lbproto_query_worker.frames import Chunk, Ready, framed

NewEngine = Callable[..., DuckDBEngine]
Fetch = Callable[..., Any]

ENDLESS = "SELECT range, 'x' AS x FROM range(1000000000000)"
SLOW = {
    "sort": "SELECT range FROM range(100000000) ORDER BY sin(range), range LIMIT 5 OFFSET 999999",
    "join": "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range + b.range < 0",
    "recursive": "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) FROM r",
    "stream": ENDLESS,
}

isolation = pytest.mark.parametrize("isolated", [True, False], ids=["process", "thread"])


def request(sql: str, application_id: str = "shop", **limits: Any) -> QueryRequest:
    return QueryRequest(application_id=application_id, sql=sql, limits=Limits(**limits))


def pid(engine: DuckDBEngine, application_id: str = "shop") -> int:
    found: int = engine._workers[application_id].host.pid  # type: ignore[attr-defined]
    return found


@isolation
@pytest.mark.anyio
async def test_all_kinds_of_files(new_engine: NewEngine, fetch: Fetch, isolated: bool) -> None:
    async with new_engine(isolated=isolated) as engine:
        assert (await fetch(engine, "SELECT name FROM people WHERE id = $1", params=[2])).rows == [
            {"name": "Bob"}
        ]
        assert (await fetch(engine, "FROM cheap, orders", arrays=True)).rows == [
            [1, "2.5", 1, "2.5"]
        ]
        answer = await fetch(engine, "SELECT * FROM trades ORDER BY i DESC", arrays=True)
        assert answer.rows == [[i, str(i % 7), f"trade {i}"] for i in reversed(range(50000))]
        assert [(each.name, each.type) for each in answer.columns] == [
            ("i", "INTEGER"),
            ("k", "BIGINT"),
            ("name", "VARCHAR"),
        ]
        empty = await fetch(engine, "SELECT i FROM trades WHERE false")
        assert (empty.rows, empty.columns[0].name) == ([], "i")
        assert engine.worker_count == 1


@isolation
@pytest.mark.anyio
async def test_chunks_and_the_limit_of_rows(new_engine: NewEngine, isolated: bool) -> None:
    async with new_engine(isolated=isolated) as engine:
        async with engine.query(request(ENDLESS, rows=30_000)) as stream:
            parts = [part async for part in stream if isinstance(part, Rows)]
        assert stream.outcome is not None
        assert (stream.outcome.rows, stream.outcome.truncated) == (30_000, True)
        assert all(40_000 < len(part.data) < 100_000 for part in parts[1:-1])
        rows = [row for part in parts for row in json.loads(part.data)]
        assert [row["range"] for row in rows] == [str(i) for i in range(30_000)]
        async with engine.query(request("FROM range(5)", rows=5)) as stream:
            assert [part.count async for part in stream if isinstance(part, Rows)] == [5]
        assert stream.outcome is not None
        assert stream.outcome.truncated is False


@isolation
@pytest.mark.anyio
async def test_who_does_not_read_stops_the_query(new_engine: NewEngine, isolated: bool) -> None:
    slow = request(ENDLESS, patience=0.05)
    async with new_engine(isolated=isolated) as engine, engine.query(slow) as stream:
        assert isinstance(stream, WorkerStream)
        await stream.ended.wait()
        held = sum(len(part.data) for part in stream._parts if isinstance(part, Rows))
        assert held < 5 * 100_000
        with pytest.raises(RequestTimeout, match="not read"):
            async for _ in stream:
                pass


@pytest.mark.anyio
async def test_memory_stays_flat(new_engine: NewEngine) -> None:
    async with new_engine() as engine:
        async with engine.query(request(ENDLESS)) as stream:
            seen = 0
            sizes: list[int] = []
            async for part in stream:
                assert isinstance(part, Rows)
                seen += part.count
                if seen > 100_000 * (len(sizes) + 1):
                    worker = psutil.Process(pid(engine)).memory_info().rss
                    sizes.append(worker + psutil.Process().memory_info().rss)
                if len(sizes) == 8:
                    break
        assert max(sizes) - sizes[0] < 48 * 1024 * 1024


@isolation
@pytest.mark.anyio
async def test_cancelled_at_any_moment(new_engine: NewEngine, fetch: Fetch, isolated: bool) -> None:
    async with new_engine(isolated=isolated) as engine:
        for sql in SLOW.values():
            for seconds in (0.0, 0.05):
                async with engine.query(request(sql)) as stream:
                    assert isinstance(stream, WorkerStream)
                    with anyio.move_on_after(seconds):
                        async for _ in stream:
                            pass
                await stream.ended.wait()
                assert stream.outcome is None
        assert (await fetch(engine, "SELECT 1 AS x")).rows == [{"x": 1}]
        assert engine.worker_count == 1  # the one that was there from the first


@pytest.mark.anyio
async def test_time_and_progress(new_engine: NewEngine, fetch: Fetch) -> None:
    async with new_engine() as engine:
        with pytest.raises(RequestTimeout, match="longer"):
            await fetch(engine, SLOW["join"], seconds=0.3)
        endless = request("SELECT sum(sin(range)) FROM range(10000000000)")
        async with engine.query(endless) as stream:
            first, second = await anext(stream), await anext(stream)
        assert isinstance(first, Progress)
        assert isinstance(second, Progress)
        assert 0 < first.pct <= second.pct < 100
        assert 0 < first.rows <= second.rows < 10_000_000_000


@pytest.mark.anyio
async def test_a_killed_worker_is_one_error(new_engine: NewEngine, fetch: Fetch) -> None:
    async with new_engine() as engine:
        async with engine.query(request(ENDLESS)) as stream:
            await anext(stream)
            os.kill(pid(engine), signal.SIGKILL)
            with pytest.raises(Overloaded, match="try again"):
                async for _ in stream:
                    pass
        assert (await fetch(engine, "SELECT 1 AS x")).rows == [{"x": 1}]


@pytest.mark.anyio
async def test_a_worker_whose_duckdb_has_failed_is_replaced(
    new_engine: NewEngine, fetch: Fetch
) -> None:
    # A failure of DuckDB's own, after which it refuses whatever it is asked.
    fatal = "SELECT reservoir_quantile(range, 0.5, 2000000000) FROM range(10)"
    async with (
        new_engine(memory=128 * 1024 * 1024) as engine,
        engine.query(request(ENDLESS)) as beside,
    ):
        await anext(beside)
        with pytest.raises(LimitExceeded):
            await fetch(engine, fatal)
        assert (await fetch(engine, "SELECT 1 AS x")).rows == [{"x": 1}]
        with pytest.raises(Overloaded, match="try again"):
            async for _ in beside:
                pass


@pytest.mark.anyio
async def test_a_worker_that_hangs_is_killed(new_engine: NewEngine, fetch: Fetch) -> None:
    async with new_engine(grace=0.1) as engine:
        async with engine.query(request(ENDLESS)) as other:
            await anext(other)
            first = pid(engine)
            async with engine.query(request(ENDLESS)) as stream:
                await anext(stream)
                os.kill(first, signal.SIGSTOP)
            with pytest.raises(Overloaded, match="had to be stopped"):
                async for _ in other:
                    pass
        assert (await fetch(engine, "SELECT 1 AS x")).rows == [{"x": 1}]
        assert pid(engine) != first
        os.kill(pid(engine), signal.SIGSTOP)
        with pytest.raises(RequestTimeout):
            await fetch(engine, "SELECT 1 AS x", seconds=0.1)


@pytest.mark.anyio
async def test_a_worker_that_is_not_needed_stops(new_engine: NewEngine, fetch: Fetch) -> None:
    async with new_engine(idle=0.05) as engine:
        for _ in range(2):
            async with engine.query(request(ENDLESS)) as stream:
                await anext(stream)
                await anyio.sleep(0.2)
                assert engine.worker_count == 1  # it has a query
            with anyio.fail_after(60):
                while engine.worker_count:  # noqa: ASYNC110 - there is no event of it
                    await anyio.sleep(0.01)


@pytest.mark.anyio
async def test_a_worker_is_told_nothing_and_is_bounded(
    new_engine: NewEngine, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LBPROTO_SECRET", "hunter2")
    async with new_engine() as engine:
        await fetch(engine, "SELECT 1")
        worker = psutil.Process(pid(engine))
        assert worker.environ().keys() <= {"LANG", "LC_CTYPE", "TZ"}
        assert os.getsid(worker.pid) == worker.pid  # the server's terminal does not reach it
        assert worker.rlimit(psutil.RLIMIT_FSIZE) == (0, 0)
        assert worker.rlimit(psutil.RLIMIT_CORE) == (0, 0)
        soft, hard = worker.rlimit(psutil.RLIMIT_AS)
        assert 0 < soft == hard < 8 * 1024**3
        assert 0 < worker.rlimit(psutil.RLIMIT_CPU)[0] < 1000


def test_a_worker_is_bounded_while_it_opens_files(tmp_path: Path) -> None:
    file = tmp_path / "endless.csv"
    os.mkfifo(file)
    ours, its = socket.socketpair()
    line = str(its.fileno())
    words = [sys.executable, "-m", "lbproto_query_worker", line, str(64 * 1024**2), "1"]
    with (
        ours,
        its,
        subprocess.Popen([*words, str(tmp_path), str(file)], pass_fds=[its.fileno()]) as worker,
    ):
        try:
            writer = None
            while writer is None and worker.poll() is None:
                with suppress(OSError):  # the worker does not read yet
                    writer = os.open(file, os.O_WRONLY | os.O_NONBLOCK)
                time.sleep(0.01)  # another process opens the file: nothing tells when
            assert writer is not None
            soft, _ = psutil.Process(worker.pid).rlimit(psutil.RLIMIT_AS)
            os.close(writer)
        finally:
            worker.kill()
    assert 0 < soft < 8 * 1024**3


@isolation
@pytest.mark.anyio
async def test_too_much_at_once(new_engine: NewEngine, fetch: Fetch, isolated: bool) -> None:
    async with new_engine(isolated=isolated, queries=1, workers=1) as engine:
        async with engine.query(request(ENDLESS)) as stream:
            await anext(stream)
            with pytest.raises(Overloaded, match="queries"):
                await fetch(engine, "SELECT 1")
            with pytest.raises(Overloaded, match="applications"):
                await fetch(engine, "SELECT 1", "bank")
        assert isinstance(stream, WorkerStream)
        await stream.ended.wait()
        assert (await fetch(engine, "FROM secret", "bank")).rows == [{"what": "gold"}]


@pytest.mark.anyio
async def test_sizes(new_engine: NewEngine, fetch: Fetch) -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    async with new_engine(isolated=False) as engine:
        for params in ([1] * 1001, ["x" * 300_000], deep, {"x": [0] * 300_000}):
            with pytest.raises(LimitExceeded):
                await fetch(engine, "SELECT 1", params=params)
        for sql, params in (("SELECT '\ud800'", []), ("SELECT ?", ["\ud800"])):
            with pytest.raises(InvalidRequest):
                await fetch(engine, sql, params=params)
        with pytest.raises(LimitExceeded, match="A row"):
            await fetch(engine, "SELECT repeat('é', 100)", row_bytes=150)
        with pytest.raises(NotFound, match="no catalogue"):
            await fetch(engine, "SELECT 1", "nobody")


@pytest.mark.anyio
async def test_it_is_used_while_it_is_entered(new_engine: NewEngine, fetch: Fetch) -> None:
    engine = new_engine(isolated=False)
    with pytest.raises(UsageError, match="Enter"):
        await fetch(engine, "SELECT 1")
    async with engine:
        await fetch(engine, "SELECT 1")
    assert engine.worker_count == 0
    with pytest.raises(ZeroDivisionError):  # as it is, in no group
        async with engine, engine.query(request(ENDLESS)):
            raise ZeroDivisionError


FLOOD = b"".join([framed(Ready()), *[framed(Chunk(0, 1, b"[1]"))] * 100])


@pytest.mark.parametrize("said", [b"\xff" * 8, b"\0\0\0\1x", b"", FLOOD])
@pytest.mark.anyio
async def test_a_worker_is_not_trusted(
    new_engine: NewEngine, fetch: Fetch, caplog: pytest.LogCaptureFixture, said: bytes
) -> None:
    class Babbler:
        """A worker that somebody else has got hold of."""

        async def start(self, line: socket.socket, *_: Any) -> None:
            with line:
                line.sendall(said)

        def kill(self) -> None:
            pass

        async def join(self, seconds: float) -> None:
            pass

    async with new_engine() as engine:
        engine._host = lambda *_: Babbler()  # type: ignore[assignment]
        with pytest.raises(Overloaded):
            await fetch(engine, "SELECT 1")
        assert engine.worker_count == 0
    assert ("no sense" in caplog.text) == bool(said)


def test_chunks_are_bounded_also_where_rows_grow(ask: Fetch) -> None:
    sizes: list[int] = []
    grown = "SELECT repeat('x', CASE WHEN range < 5000 THEN 1 ELSE 50000 END) FROM range(5100)"
    assert len(ask(grown, seen=sizes).rows) == 5100
    assert max(sizes) < 65536 + 50000 + 100
