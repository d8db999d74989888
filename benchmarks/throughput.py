"""How many deliveries one machine makes with one, two and three servers, and what limits it.

    python -m benchmarks.throughput [--quick] [--rows lbproto,python-socketio]

Servers of one application, with a Valkey between them, and two rooms whose clients are spread
evenly over all of them; the same clients, however many servers there are. Each room has a load
process of its own, with a publisher that asks for events, some ahead, and for another when every
client of the room has got the oldest: so each event crosses the broker, nothing is lost, and all go
as fast as they can. Nothing has a core to itself.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection
from statistics import median
from typing import NamedTuple

import psutil

from benchmarks.cases.base import PAYLOAD
from benchmarks.dialects import dialect
from benchmarks.peers.payload import BROKER
from benchmarks.rows import ROWS
from benchmarks.servers import Running, running
from lbproto.load import Crowd, ServerProcess
from lbproto.load.frames import client_frame
from tests.ledger.servers import Valkey

__all__ = ["Found", "main", "measure"]

_ROOMS = 2
_WINDOW = 6  # events under way in a room
_PATIENCE = 30.0  # seconds until an event is lost
_SPARE = 0.1  # of a core: where no more is left, it is busy


class Found(NamedTuple):
    """What was found with so many servers.

    Attributes:
        rate: deliveries a second.
        servers: cores that each of them uses.
        broker: cores that it uses.
        load: cores that those of the clients use, together.
        idle: cores that nothing on the machine uses.
    """

    rate: float
    servers: Sequence[float]
    broker: float
    load: float
    idle: float

    @property
    def limit(self) -> str:
        """What there is no more of."""
        cores = os.cpu_count() or 1
        used = sum(self.servers) + self.broker + self.load
        others = cores - self.idle - used
        if self.idle < _SPARE * cores:
            return f"all {cores} cores are busy, {max(others, 0):.2f} of them with something else"
        if max(self.servers) > 1 - _SPARE:
            return "a server: it has the one core that it can use"
        return f"the way there and back: {self.idle:.2f} cores are idle"


class Room:
    """One room's clients, on all servers; a publisher is with the first."""

    def __init__(self, crowds: Sequence[Crowd], room: str) -> None:
        for crowd in crowds:
            crowd.connect()
            crowd.subscribe(room)
        self._crowds = crowds
        self._publisher = crowds[0].publisher()
        spoken = crowds[0].dialect
        self._asking = client_frame(spoken.say(spoken.publish, room=room, count=1))
        self._tallies = [crowd.count(spoken.marker) for crowd in crowds]
        self._goals: list[list[int]] = []

    def publish(self, seconds: float) -> int:
        """Publish for a while; how many deliveries there were.

        Raises:
            TimeoutError: some are missing.
        """
        before = sum(tally.total for tally in self._tallies)
        goals = [tally.total for tally in self._tallies]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            while len(self._goals) < _WINDOW:
                self._publisher.send(self._asking)
                each = zip(goals, self._tallies, strict=True)
                goals = [goal + len(tally.counts) for goal, tally in each]
                self._goals.append(goals)
            self._wait_oldest()
        while self._goals:
            self._wait_oldest()
        return sum(tally.total for tally in self._tallies) - before

    def _wait_oldest(self) -> None:
        goals = self._goals.pop(0)
        deadline = time.monotonic() + _PATIENCE
        while any(tally.total < goal for tally, goal in zip(self._tallies, goals, strict=True)):
            if time.monotonic() > deadline:
                raise TimeoutError("an event is missing")
            for crowd in self._crowds:
                crowd.turn(0.001)


def load(line: Connection, row: str, urls: Sequence[str], room: str, clients: int) -> None:
    """What a load process does: it says that it is there, and publishes for as long as it is told.

    Args:
        line: to who measures.
        urls: of the servers; the publisher is with the first.
        clients: how many there are in the room.
    """
    spoken = dialect(ROWS[row].wires[0], PAYLOAD)
    with ExitStack() as stack:
        shares = [clients // len(urls) + (at < clients % len(urls)) for at in range(len(urls))]
        crowds = [
            stack.enter_context(Crowd(url, spoken, share))
            for url, share in zip(urls, shares, strict=True)
        ]
        group = Room(crowds, room)
        line.send(None)
        while (seconds := line.recv()) is not None:
            line.send(group.publish(seconds))


class Machine:
    """Servers, a broker, and load, each in processes of its own."""

    def __init__(
        self, stack: ExitStack, valkey: Valkey, row: str, processes: int, clients: int
    ) -> None:
        self._servers: list[Running] = [
            stack.enter_context(running(ROWS[row], core=None)) for _ in range(processes)
        ]
        self._broker = ServerProcess(valkey.pid)
        urls = [server.url for server in self._servers]
        self._lines: list[Connection] = []
        self._load: list[ServerProcess] = []
        spawning = multiprocessing.get_context("spawn")
        for at in range(_ROOMS):
            mine, theirs = spawning.Pipe()
            ours = urls[at % processes :] + urls[: at % processes]
            arguments = (theirs, row, ours, f"bench:r{at}", clients // _ROOMS)
            process = spawning.Process(target=load, args=arguments, daemon=True)
            process.start()
            assert process.pid is not None  # noqa: S101 - it was started
            stack.callback(process.join)
            stack.callback(mine.send, None)
            self._lines.append(mine)
            self._load.append(ServerProcess(process.pid))
        for line in self._lines:
            line.recv()

    def run(self, seconds: float) -> Found:
        """Publish for a while."""
        before, idle = self._used(), psutil.cpu_times().idle
        began = time.monotonic()
        for line in self._lines:
            line.send(seconds)
        deliveries = sum(line.recv() for line in self._lines)
        took = time.monotonic() - began
        idle = (psutil.cpu_times().idle - idle) / took
        cores = [(after - then) / took for after, then in zip(self._used(), before, strict=True)]
        count = len(self._servers)
        return Found(deliveries / took, cores[:count], cores[count], sum(cores[count + 1 :]), idle)

    def _used(self) -> list[float]:
        processes = [server.process for server in self._servers]
        found = (process.usage() for process in (*processes, self._broker, *self._load))
        return [0.0 if usage is None else usage.on_cpu for usage in found]


def measure(valkey: Valkey, row: str, processes: int, clients: int, seconds: float) -> Found:
    """What a row's servers do with so many clients together, once they are warm."""
    with ExitStack() as stack:
        machine = Machine(stack, valkey, row, processes, clients)
        machine.run(seconds / 5)
        return machine.run(seconds)


def main() -> None:
    """Measure, and print a table and what limits each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default="lbproto")
    parser.add_argument("--processes", default="1,2,3")
    parser.add_argument("--clients", type=int, default=600, help="in both rooms together")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="once, for a moment each")
    options = parser.parse_args()
    seconds, repeats = (0.5, 1) if options.quick else (options.seconds, options.repeats)
    settings = [
        (row, int(processes))
        for row in options.rows.split(",")
        for processes in options.processes.split(",")
    ]
    found: dict[tuple[str, int], list[Found]] = {setting: [] for setting in settings}
    valkey = Valkey(appendonly="no")
    os.environ[BROKER] = valkey.url
    try:
        for repeat in range(repeats):
            for row, processes in settings if repeat % 2 else reversed(settings):
                run = measure(valkey, row, processes, options.clients, seconds)
                found[row, processes].append(run)
    finally:
        valkey.stop()
    print("| servers | deliveries/s | CPU of each, µs: servers | broker | load | limited by |")
    print("|:--|---:|---:|---:|---:|:--|")
    for (row, processes), runs in found.items():
        print(f"| {processes} × {row} | {' | '.join(_cells(runs))} |")


def _cells(runs: Sequence[Found]) -> Iterator[str]:
    rates = sorted(run.rate for run in runs)
    yield f"{median(rates):,.0f} ({rates[0]:,.0f}-{rates[-1]:,.0f})"
    for used in (
        [sum(run.servers) / run.rate for run in runs],
        [run.broker / run.rate for run in runs],
        [run.load / run.rate for run in runs],
    ):
        yield f"{median(used) * 1_000_000:.2f}"
    yield sorted(runs, key=lambda run: run.rate)[len(runs) // 2].limit


if __name__ == "__main__":
    main()
