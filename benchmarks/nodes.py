"""What an event costs that the clients of two nodes get: lbproto beside python-socketio.

    python -m benchmarks.nodes [--quick]

Two server processes of each, one Valkey, and the same clients on each node. A client of the first
node asks for a burst of events to everyone, and for the next when every client of both has got
them. Counted are the messages that the broker takes, and the CPU that both servers use, by the
scheduler; the broker's and the clients' are not in it. The two take turns, on one core; the broker
and the clients are on another.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import Any, NamedTuple

from benchmarks.cases.base import PAYLOAD
from benchmarks.dialects import ROOM, dialect
from benchmarks.machine import LOAD_CORE, on_core
from benchmarks.peers.payload import BROKER
from benchmarks.rows import ROWS
from benchmarks.servers import Running, running
from lbproto.load import Crowd
from lbproto.load.frames import client_frame
from tests.ledger.servers import Valkey

__all__ = ["Cost", "Nodes", "main"]

_ROWS = ("lbproto", "python-socketio")
_BURSTS = (1, 20)
_PATIENCE = 30.0  # seconds until a burst is lost


class Cost(NamedTuple):
    """What one event costs.

    Attributes:
        messages: that the broker takes.
        cpu: µs of both servers together.
    """

    messages: float
    cpu: float


class Nodes:
    """Two servers with a broker between them, and their clients.

    Args:
        valkey: the broker.
        servers: those that listen.
        crowds: the clients of each.
    """

    def __init__(self, valkey: Valkey, servers: list[Running], crowds: list[Crowd]) -> None:
        self._valkey = valkey
        self._servers = servers
        self._crowds = crowds
        self._publisher = crowds[0].publisher()
        self._tallies = [crowd.count(crowd.dialect.marker) for crowd in crowds]

    def measure(self, burst: int, seconds: float) -> Cost:
        """Publish for a while, in bursts of so many events.

        Raises:
            TimeoutError: events are missing.
        """
        events, messages, cpu = 0, self._messages(), self._cpu()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._publish(burst)
            events += burst
        return Cost(
            (self._messages() - messages) / events, (self._cpu() - cpu) / events * 1_000_000
        )

    def _publish(self, burst: int) -> None:
        expected = [tally.total + burst * len(tally.counts) for tally in self._tallies]
        self._publisher.send(self._asking(burst))
        deadline = time.monotonic() + _PATIENCE
        while any(
            tally.total < total for tally, total in zip(self._tallies, expected, strict=True)
        ):
            if time.monotonic() > deadline:
                raise TimeoutError("events are missing")
            for crowd in self._crowds:
                crowd.turn(0.001)

    def _asking(self, burst: int) -> bytes:
        spoken = self._crowds[0].dialect
        return client_frame(spoken.say(spoken.publish, room=ROOM, count=burst))

    def _messages(self) -> int:
        statistics: dict[str, Any] = self._valkey.command("INFO", "commandstats")
        return sum(
            statistics.get(f"cmdstat_{name}", {"calls": 0})["calls"]
            for name in ("publish", "spublish")
        )

    def _cpu(self) -> float:
        used = [server.process.usage() for server in self._servers]
        return sum(usage.on_cpu for usage in used if usage is not None)


@contextmanager
def nodes(valkey: Valkey, row: str, clients: int) -> Iterator[Nodes]:
    """Two servers of a row, with so many clients together."""
    with ExitStack() as stack:
        servers = [stack.enter_context(running(ROWS[row])) for _ in range(2)]
        spoken = dialect(ROWS[row].wires[0], PAYLOAD)
        crowds = [
            stack.enter_context(Crowd(server.url, spoken, clients // 2)) for server in servers
        ]
        for crowd in crowds:
            crowd.connect()
            crowd.subscribe(ROOM)
        yield Nodes(valkey, servers, crowds)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="once, for a moment each")
    options = parser.parse_args()
    seconds, repeats = (0.5, 1) if options.quick else (options.seconds, options.repeats)
    with on_core(LOAD_CORE):
        found = _measure(options.clients, seconds, repeats)
    print("| server | events at once | broker messages an event | server CPU an event, µs |")
    print("|:--|---:|---:|---:|")
    for (row, burst), costs in sorted(found.items()):
        messages, cpu = (median(values) for values in zip(*costs, strict=True))
        print(f"| {row} | {burst} | {messages:.2f} | {cpu:.0f} |")


def _measure(clients: int, seconds: float, repeats: int) -> dict[tuple[str, int], list[Cost]]:
    """What was found, by row and burst."""
    found: dict[tuple[str, int], list[Cost]] = {}
    valkey = Valkey(appendonly="no")
    os.environ[BROKER] = valkey.url
    try:
        with ExitStack() as stack:
            all_nodes = {row: stack.enter_context(nodes(valkey, row, clients)) for row in _ROWS}
            for repeat in range(repeats):
                for burst in _BURSTS:
                    for row in _ROWS if repeat % 2 else reversed(_ROWS):
                        cost = all_nodes[row].measure(burst, seconds)
                        found.setdefault((row, burst), []).append(cost)
    finally:
        valkey.stop()
    return found


if __name__ == "__main__":
    main()
