"""Disks that are full and processes that are killed: real ones."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from websockets.sync.client import ClientConnection, connect

from lbproto_market import RESOLUTIONS
from lbproto_market.duckdb_tables import Tables

_COMMON = """
import sys
from decimal import Decimal
from pathlib import Path

import anyio

from lbproto import Overloaded
from lbproto_market import RESOLUTIONS
from lbproto_market.bars import Bar, Mark
from lbproto_market.changes import Settled
from lbproto_market.duckdb_archive import DuckDBArchive
from lbproto_market.trades import Trade

def write(archive, second):
    opening, one = second * 1000, Decimal(1)
    mark = Mark(opening, second, "v", one)
    bar = Bar(opening, mark, mark, one, one, one, 1, True)
    trade = Trade(opening, second, "v", one, one)
    archive.write("X", opening + 1000, [Settled("v", "1s", bar)], [trade])
"""

_FULL_DISK = (
    _COMMON
    + """
import resource, signal

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

async def seconds(archive, end):
    bars = await archive.read("X", ["v"], RESOLUTIONS["1s"], 0, end, 1001)
    return [bar.opening // 1000 for bar in bars]

async def main(path):
    async with DuckDBArchive(path, flush_every=3600, waiting=30) as archive:
        write(archive, 0)
        await archive.flush()
        limit(Path(path + ".wal").stat().st_size)
        for second in range(1, 50):
            write(archive, second)
            try:
                await archive.flush()
            except Overloaded as refusal:
                reason = refusal
            else:
                raise SystemExit("this was written")
        print(reason)
        print(archive.statistics())
        print(await seconds(archive, 1000))
        limit(resource.RLIM_INFINITY)
        print(await seconds(archive, 1 << 60) == [0, *range(20, 50)])
        print(archive.statistics())

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
anyio.run(main, sys.argv[1])
"""
)


def test_a_full_disk_costs_no_more_than_what_it_cannot_take(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _FULL_DISK, str(tmp_path / "candles.duckdb")]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=60)
    assert output.stdout.splitlines() == [
        "History cannot be written now; try again",
        "ArchiveStatistics(written=1, waiting=30, lost=19, failing=True)",
        "[0]",
        "True",
        "ArchiveStatistics(written=31, waiting=0, lost=19, failing=False)",
    ]


_WRITING = (
    _COMMON
    + """
async def main(path):
    async with DuckDBArchive(path, flush_every=0.001) as archive:
        second = (await archive.resume("X", 1)).now_ms // 1000
        for second in range(second, 1 << 60):
            write(archive, second)
            if second % 10 == 9:
                await archive.flush()
                print(second, flush=True)
            await anyio.sleep(0)

anyio.run(main, sys.argv[1])
"""
)


def test_a_process_that_is_killed_loses_only_what_was_not_written(tmp_path: Path) -> None:
    path = str(tmp_path / "candles.duckdb")
    for number in range(5):
        command = [sys.executable, "-c", _WRITING, path]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writing:
            assert writing.stdout is not None
            for _ in range(3 + 7 * number):
                written = int(writing.stdout.readline())
            writing.kill()
            written = max([written, *map(int, writing.stdout.read().split(b"\n")[:-1])])
        tables = Tables(path, {}, 1 << 60, 256)
        bars = tables.read("X", ["v"], RESOLUTIONS["1s"], 0, 1 << 60, 1 << 20)
        now_ms, _, seen = tables.resume("X", 1)
        tables.close()
        seconds = [bar.opening // 1000 for bar in bars]
        assert seconds == list(range(len(seconds)))
        assert len(seconds) > written
        assert now_ms == len(seconds) * 1000
        assert seen["v"].ids == seconds  # a trade is remembered if and only if its candle is kept


_SERVING = """
import sys
import uvicorn
from lbproto import Server, StaticTokens
from lbproto_market import ReplayFeed, market
from lbproto_market.duckdb_archive import DuckDBArchive

feed = ReplayFeed(sys.argv[1], "ETH-USDT", speed="max")
plugin = market(feed, history=5, archive=DuckDBArchive(sys.argv[2]))
server = Server([plugin], auth=StaticTokens({"secret": "ada"}))
uvicorn.run(server.asgi(), port=int(sys.argv[3]), log_level="warning")
"""


def _ask(trades: Iterable[int], path: Path) -> list[float]:
    """Have a server replay trades of these seconds, ask it for their minute, and kill it."""
    recording = path.with_name("trades.csv")
    rows = (f"{second * 1000},{second},{second + 1},1" for second in trades)
    recording.write_text("\n".join(("timestamp_ms,id,price,amount", *rows)))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with subprocess.Popen([sys.executable, "-c", _SERVING, recording, path, str(port)]) as server:
        try:
            with _connected(port) as client:
                window = {"from": 0, "to": 60_000}
                data = {"symbol": "ETH-USDT", "resolution": "1s", "window": window}
                client.send(json.dumps({"event": "request_market_data", "data": data, "id": 1}))
                while (answer := json.loads(client.recv(timeout=60))).get("re") != 1:
                    pass
        finally:
            server.kill()
    return [candle["close"] for candle in answer["data"]["candles"]]


def _connected(port: int) -> ClientConnection:
    headers = {"Authorization": "Bearer secret"}
    for _ in range(1200):
        try:
            return connect(f"ws://127.0.0.1:{port}/ws", additional_headers=headers)
        except ConnectionRefusedError:
            time.sleep(0.05)
    raise AssertionError("the server does not start")


def test_a_server_that_was_killed_answers_with_what_it_had_before(tmp_path: Path) -> None:
    path = tmp_path / "candles.duckdb"
    assert _ask(range(20), path) == list(range(1, 21))
    # Of what is not delivered again, all is in the archive; the second that was open is not.
    assert _ask(range(17, 30), path) == list(range(1, 31))
