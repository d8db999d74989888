"""What queries cost whoever is beside them: a server that has both, with them and without."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import NamedTuple
from urllib.request import urlopen

import psutil

from benchmarks.cases.base import PAYLOAD
from benchmarks.dialects import ROOM, dialect
from benchmarks.rows import Row
from benchmarks.servers import Running, running
from lbproto.load import Crowd, FanOut, listen

__all__ = ["Beside", "measure", "run"]

_QUERIES, _ROWS = 5, 30_000_000
_WARM = 2.0  # seconds at most until queries are at their pace


class Beside(NamedTuple):
    """What was seen in one phase; times in milliseconds, memory in MiB.

    Attributes:
        heard: what the clients in the room have heard, and how late.
        lags: how late the server's loop was, each time it was looked at.
        server: memory of the server's process.
        worker: memory of the process that runs the queries; 0 where there is none.
        rows: that the queries' clients got a second; 0 where there are none.
    """

    heard: FanOut
    lags: list[float]
    server: int
    worker: int
    rows: int


def run(*, quick: bool = False) -> None:
    """Print what clients see without queries, and with them.

    Args:
        quick: as short as can be: to see that it works, not what it costs.
    """
    clients, seconds = (50, 1.0) if quick else (500, 20.0)
    print(
        f"{clients} clients that get an event every 100 ms, {seconds:.0f} s each, in ms and MiB\n"
    )
    print("                 lag p50    p99  delay p50    p99    max  server  worker       rows/s")
    with _serving() as server, Crowd(server.url, dialect("socketio", PAYLOAD), clients) as crowd:
        crowd.connect()
        crowd.subscribe(ROOM)
        for name, queries in (("without queries", 0), (f"with {_QUERIES} queries", _QUERIES)):
            print(_line(name, measure(server, crowd, queries, seconds)))


def measure(server: Running, crowd: Crowd, queries: int, seconds: float) -> Beside:
    """Look at a server, while so many queries are read from it.

    Args:
        server: the one that is measured.
        crowd: its other clients, in the room.
        queries: how many, each of a client of its own.
        seconds: how long.
    """
    warm = min(_WARM, seconds)
    with _reading(server.url, queries, seconds + 2 * warm) as reader:
        listen(crowd, seconds=warm)
        _lags(server)
        heard = listen(crowd, seconds=seconds)
        lags = _lags(server)
        process = psutil.Process(server.process.pid)
        memory = [each.memory_info().rss >> 20 for each in (process, *process.children())]
        rows = 0
        if reader is not None:
            output, _ = reader.communicate(timeout=60)
            rows = int(output.split()[0])
    return Beside(heard, lags, memory[0], sum(memory[1:]), rows)


@contextmanager
def _serving() -> Iterator[Running]:
    with TemporaryDirectory(prefix="lbproto-benchmark-") as root:
        Path(root, "default").mkdir()  # which is everybody's
        command = (sys.executable, "-m", "benchmarks.queries.server", "{port}", root)
        with running(Row("lbproto", "lbproto, with queries", command)) as server:
            yield server


@contextmanager
def _reading(url: str, queries: int, seconds: float) -> Iterator[subprocess.Popen[str] | None]:
    """A process whose clients read queries; they have begun."""
    if not queries:
        yield None
        return
    command = [sys.executable, "-m", "benchmarks.queries.reader", url]
    command += map(str, (queries, _ROWS, seconds))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reader:
        try:
            assert reader.stdout is not None  # noqa: S101 - it is a pipe
            if not reader.stdout.readline():
                raise RuntimeError("the queries have not begun")
            yield reader
        finally:
            reader.kill()


def _lags(server: Running) -> list[float]:
    with urlopen(f"http://127.0.0.1:{server.port}/lags") as answer:
        found: list[float] = json.load(answer)
    return found


def _line(name: str, seen: Beside) -> str:
    heard, p99 = seen.heard, quantiles(seen.lags, n=100)[98]
    if heard.lost or heard.p50 is None:
        raise RuntimeError(f"{heard.lost} events were lost")
    delays = f"{heard.p50:9.1f} {heard.p99:6.1f} {heard.max:6.1f}"
    memory = f"{seen.server:7} {seen.worker:7}"
    return f"{name:<16} {median(seen.lags):7.2f} {p99:6.1f}  {delays} {memory} {seen.rows:12,}"
