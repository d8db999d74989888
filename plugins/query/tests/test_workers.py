"""No worker outlives whoever started it, whenever that ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import psutil
import pytest

from lbproto import Overloaded, UsageError
from lbproto_query import DuckDBEngine, QueryRequest

NewEngine = Callable[..., DuckDBEngine]

ENDLESS = QueryRequest(application_id="shop", sql="SELECT range FROM range(1000000000000)")

# A server that is killed while a query runs; it says which process its worker is.
SERVER = """
import sys, anyio
from lbproto_query import Catalogues, DuckDBEngine, QueryRequest

async def main():
    request = QueryRequest(application_id="shop", sql="SELECT range FROM range(1000000000000)")
    async with DuckDBEngine(Catalogues(sys.argv[1])) as engine, engine.query(request) as stream:
        await anext(stream)
        print(engine._workers["shop"].host.pid, flush=True)
        async for _ in stream:
            pass

anyio.run(main)
"""


def workers() -> list[psutil.Process]:
    """Workers that are children of this process, and children that nobody has waited for."""
    return [
        each
        for each in psutil.Process().children()
        if each.status() == psutil.STATUS_ZOMBIE or "lbproto_query_worker" in each.cmdline()
    ]


def contents(path: Path) -> list[Path]:
    """What is in a folder."""
    return list(path.iterdir())


@pytest.mark.parametrize("delay", [0.0, 0.0005, 0.002, 0.01, 0.05, 0.15, 0.3])
@pytest.mark.anyio
async def test_nothing_is_left_whenever_a_server_stops(
    new_engine: NewEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, delay: float
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = workers()
    with anyio.move_on_after(delay):
        async with new_engine() as engine, engine.query(ENDLESS) as stream:
            async for _ in stream:
                pass
    assert workers() == before
    assert contents(tmp_path) == []


@pytest.mark.anyio
async def test_a_query_that_begins_as_the_engine_stops_is_refused(
    new_engine: NewEngine, fetch: Callable[..., Any]
) -> None:
    engine = new_engine()

    async def ask() -> None:
        with pytest.raises((Overloaded, UsageError)):
            await fetch(engine, ENDLESS.sql)

    async with anyio.create_task_group() as tasks, engine:
        tasks.start_soon(ask)
        while not engine.worker_count:
            await anyio.lowlevel.checkpoint()
    assert engine.worker_count == 0


def test_a_worker_ends_when_its_server_is_killed(root: Path) -> None:
    command = [sys.executable, "-c", SERVER, str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        worker = psutil.Process(int(server.stdout.readline()))
        server.send_signal(signal.SIGKILL)
        worker.wait(timeout=60)
    assert not worker.is_running()
