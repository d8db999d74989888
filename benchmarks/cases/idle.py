"""Connections: what it costs to make one, and to have it.

Clients connect, 64 at a time, as far as their protocol goes: for lbproto that is authentication and
a session. The server's memory is read before and after, its CPU time once more while nothing
happens but heartbeats.
"""

from __future__ import annotations

import time

from benchmarks.cases.base import (
    PAYLOAD,
    Case,
    CountsDiffer,
    Plan,
    Point,
    Taken,
    crowd_of,
    plan_rows,
)
from benchmarks.dialects import dialect
from benchmarks.figures import Figure
from benchmarks.options import Options
from benchmarks.servers import Running
from lbproto.load import Crowd, Usage, idle

__all__ = ["IDLE"]

_CLIENTS = (1_000, 5_000)
_FIRST = 50  # connections that have a server load and allocate what all need
_SETTLE_SECONDS = 1.0
_SPECIAL = ("c-joined", "lbproto-granian", "node-socketio-recovery")


def _plan(options: Options) -> Plan:
    parameters = {"clients": options.clients or _CLIENTS}
    quick = ("c", "lbproto", "python-socketio")
    return plan_rows("fan-out", options, parameters, left_out=_SPECIAL, quick=quick)


def _measure(point: Point, options: Options) -> Taken:
    clients = int(point.parameters["clients"])
    settle = min(_SETTLE_SECONDS, options.seconds)
    with crowd_of(point) as (server, crowd):
        _connect_first(point, server)
        time.sleep(settle)
        before = used(server)
        connected = crowd.connect()
        made = used(server)
        idle(crowd, seconds=settle)
        quiet = used(server)
        idle(crowd, seconds=options.seconds)
        after = used(server)
        if (there := crowd.statistics().connected) != clients:
            raise CountsDiffer(f"{there:,} of {clients:,} clients are connected")
    return Taken(
        {
            "connect_us": (made - before).on_cpu * 1e6 / clients,
            "kib": (after.resident - before.resident) / 1024 / clients,
            "per_second": connected.per_second,
            "idle_us": (after - quiet).on_cpu * 1e6 / clients / options.seconds,
            "base_mib": before.resident / 1024**2,
        }
    )


def _connect_first(point: Point, server: Running) -> None:
    spoken = dialect(str(point.parameters["wire"]), PAYLOAD)
    with Crowd(server.url, spoken, _FIRST) as first:
        first.connect()


def used(server: Running) -> Usage:
    """What a server has used so far.

    Raises:
        CountsDiffer: the system does not tell.
    """
    usage = server.process.usage()
    if usage is None:
        raise CountsDiffer("what the server used is not known: that takes Linux")
    return usage


IDLE = Case(
    name="idle",
    summary="Connections made and held: server CPU and memory per connection",
    figures=(
        Figure("connect_us", "CPU to connect", "µs", digits=0, compared=True),
        Figure("kib", "memory", "KiB", digits=1, compared=True),
        Figure("per_second", "connections", "/s", digits=0),
        Figure("idle_us", "CPU to hold", "µs/s"),
        Figure("base_mib", "server by itself", "MiB", digits=0),
    ),
    plan=_plan,
    measure=_measure,
)
