"""A rolling restart: the demo under a crowd of stock clients, and its successor on its port."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.cli.commands import Done, Running, running
from tests.e2e.node import Line, NodeClient
from tests.serving import free_port

__all__ = ["Restart", "restart"]

ROOM = "market:ETH-USDT"
SECONDS = 60


@dataclass(frozen=True)
class Restart:
    """What was seen of one.

    Attributes:
        lines: what happened to the clients from the signal on, until all were back in their room;
            `at` is in seconds since the signal.
        overlapped: whether the old process still ran when the port was free.
        done: how the old process ended.
    """

    lines: list[Line]
    overlapped: bool
    done: Done

    def times(self, happened: str) -> list[float]:
        """When that happened, for the last time, to each client that it happened to; in order."""
        return sorted(self._last(happened).values())

    def times_away(self) -> list[float]:
        """How long each client was without its room, counted from its last connection; in order."""
        gone, back = self._last("disconnect"), self._last("subscribed")
        return sorted(back[client] - gone[client] for client in gone)

    def _last(self, happened: str) -> dict[int, float]:
        return {line["client"]: line["at"] for line in self.lines if line["happened"] == happened}


def restart(clients: Sequence[Sequence[str]], seconds: float) -> Restart:
    """Start a demo, have everybody subscribe, and put another in its place.

    Args:
        clients: for each the transports it may use.
        seconds: how long the old process drains.
    """
    port = free_port()
    with running("demo", "--drain", str(seconds), port=port) as old:
        argument = {"url": old.url, "room": ROOM, "clients": clients}
        with NodeClient.running("restarting.mjs", argument) as crowd:
            _wait_subscribed(crowd, len(clients))
            began = time.time()
            old.signal(signal.SIGTERM)
            _wait_free(old)
            overlapped = old.runs
            with running("demo", port=port):
                lines = _wait_subscribed(crowd, len(clients))
                done = old.finish()
    told = [line | {"at": line["at"] / 1000 - began} for line in lines]
    return Restart(told, overlapped, done)


def _wait_subscribed(crowd: NodeClient, size: int) -> list[Line]:
    """Wait until every client has come into its room.

    Returns:
        What happened meanwhile.
    """
    lines: list[Line] = []
    inside: set[int] = set()
    while len(inside) < size:
        line = crowd.next()
        lines.append(line)
        if line["happened"] == "subscribed":
            inside.add(line["client"])
        elif line["happened"] == "disconnect":
            inside.discard(line["client"])
    return lines


def _wait_free(server: Running) -> None:
    """Wait until nobody listens on its port any more."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_server(("127.0.0.1", server.port)).close()
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise AssertionError("somebody still listens")
