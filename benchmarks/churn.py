"""Clients that come and go while others are measured: a share of them each second.

    python -m benchmarks.churn URL WIRE CLIENTS

Every second so many clients connect, join the room and are gone before the next ones. Every other
time they leave in order; the times between, their connections are just lost, so that the server
keeps their sessions for a while. Ends on SIGTERM, and prints how many have come and what failed.
"""

from __future__ import annotations

import signal
import sys
import time
from dataclasses import replace
from typing import Any

import msgspec

from benchmarks.cases.base import PAYLOAD
from benchmarks.dialects import ROOM, dialect
from lbproto.load import Crowd, Dialect, LoadError, idle

__all__ = ["Churned"]

_PERIOD = 1.0  # seconds


class Churned(msgspec.Struct):
    """What became of the clients that came.

    Attributes:
        came: how many were let in and joined the room.
        failures: how often that failed.
        last: the last failure.
    """

    came: int = 0
    failures: int = 0
    last: str = ""


class _Stop:
    """Whether it is to end, and what is to be stopped then."""

    def __init__(self) -> None:
        self.asked = False
        self.crowd: Crowd | None = None

    def __call__(self, *_: Any) -> None:
        self.asked = True
        if self.crowd is not None:
            self.crowd.stop()


def churn(url: str, spoken: Dialect, clients: int, stop: _Stop) -> Churned:
    """Come and go until stopped."""
    churned = Churned()
    lost = replace(spoken, leaving="")
    due = time.monotonic()
    while not stop.asked:
        due += _PERIOD
        try:
            with Crowd(url, spoken, clients) as stop.crowd:
                _stay(stop.crowd, due)
        except LoadError as failure:
            churned.failures += 1
            churned.last = str(failure)
            time.sleep(max(0.0, due - time.monotonic()))
        else:
            churned.came += clients
        spoken, lost = lost, spoken
    return churned


def _stay(crowd: Crowd, until: float) -> None:
    crowd.connect()
    crowd.subscribe(ROOM)
    idle(crowd, seconds=max(0.0, until - time.monotonic()))


def main(url: str, wire: str, clients: int) -> None:
    """Come and go until SIGTERM."""
    stop = _Stop()
    signal.signal(signal.SIGTERM, stop)
    print(msgspec.json.encode(churn(url, dialect(wire, PAYLOAD), clients, stop)).decode())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
