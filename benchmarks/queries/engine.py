"""The engine by itself: cancelling, memory, rows a second."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from time import perf_counter

import anyio
import duckdb
import psutil

from benchmarks.queries.reader import ROWS
from lbproto_query import Catalogues, DuckDBEngine, Limits, QueryRequest, Rows
from lbproto_query.streams import WorkerStream

__all__ = ["cancel", "rates", "run", "stream"]

_LIMITS = Limits(seconds=600, rows=10**12)
_SLOW = {
    "sort": "SELECT range FROM range(20000000) ORDER BY sin(range), range OFFSET 999999",
    "join": "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range + b.range < 0",
    "recursive": "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) FROM r",
    "stream": "SELECT range, 'x' AS x FROM range(1000000000000)",
}


@contextmanager
def _engine() -> Iterator[DuckDBEngine]:
    with TemporaryDirectory() as root:
        (Path(root) / "bench").mkdir()
        yield DuckDBEngine(Catalogues(root), memory=1024 * 1024 * 1024)


def _request(sql: str, *, arrays: bool = True, msgpack: bool = False) -> QueryRequest:
    return QueryRequest(
        application_id="bench", sql=sql, arrays=arrays, msgpack=msgpack, limits=_LIMITS
    )


async def cancel(engine: DuckDBEngine, tries: int) -> None:
    """Print how long queries of each kind take to end."""
    print(f"{tries} tries each      median     p99     max, in ms")
    for name, sql in _SLOW.items():
        taken = []
        for _ in range(tries):
            async with engine.query(_request(sql)) as stream:
                with anyio.move_on_after(random.uniform(0.005, 0.1)):  # noqa: S311 - no secret
                    async for _part in stream:
                        pass
                begin = perf_counter()
            if isinstance(stream, WorkerStream):
                await stream.ended.wait()
            taken.append((perf_counter() - begin) * 1000)
        p99 = quantiles(taken, n=100)[98]
        print(f"{name:<14} {median(taken):12.1f} {p99:7.1f} {max(taken):7.1f}")


async def stream(engine: DuckDBEngine, rows: int) -> None:
    """Print when rows come, and how much memory is held meanwhile."""
    begin = perf_counter()
    seen = size = 0
    first = 0.0
    held: list[tuple[int, int]] = []
    async with engine.query(_request(ROWS.format(rows), arrays=False)) as parts:
        async for part in parts:
            if not isinstance(part, Rows):
                continue
            first = first or perf_counter() - begin
            seen += part.count
            size += len(part.data)
            if seen >= len(held) * rows // 20:
                here = psutil.Process()
                (worker,) = here.children()
                held.append((here.memory_info().rss >> 20, worker.memory_info().rss >> 20))
    seconds = perf_counter() - begin
    print(f"{seen:,} rows, {size / 1e6:,.0f} MB in {seconds:.1f} s; the first after {first:.3f} s")
    print("server, MiB:", *(each for each, _ in held))
    print("worker, MiB:", *(each for _, each in held))


async def rates(engine: DuckDBEngine, rows: int) -> None:
    """Print rows a second, beside DuckDB's own."""
    sql = ROWS.format(rows)
    begin = perf_counter()
    with duckdb.connect(config={"threads": 2}) as connection:
        result = connection.execute(sql)
        count = 0
        while fetched := result.fetchmany(2048):
            count += len(fetched)
    own = count / (perf_counter() - begin)
    print(f"DuckDB here, as Python's values {own:12,.0f} rows/s")
    for arrays in (True, False):
        for msgpack in (False, True):
            begin = perf_counter()
            async with engine.query(_request(sql, arrays=arrays, msgpack=msgpack)) as parts:
                async for _ in parts:
                    pass
            rate = rows / (perf_counter() - begin)
            name = f"{'MessagePack' if msgpack else 'JSON'}, {'arrays' if arrays else 'objects'}"
            print(f"engine, {name:<24}{rate:12,.0f} rows/s, {rate / own:.2f} of that")


def run(what: Callable[[DuckDBEngine, int], Awaitable[None]], count: int) -> None:
    """Do one of these with a worker that has started."""

    async def started() -> None:
        with _engine() as made:
            async with made as engine:
                async with engine.query(_request("SELECT 1")) as warm:
                    async for _ in warm:
                        pass
                await what(engine, count)

    anyio.run(started)
