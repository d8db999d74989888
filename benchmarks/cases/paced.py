"""Fan-out at a pace: what delay clients see of a server that has time to spare.

`rate` publications a second are asked for, whatever the server does. The delay runs from the moment
at which the server made the event to the one at which the load generator read it; server and
generator have one clock.
"""

from __future__ import annotations

from dataclasses import replace

from benchmarks.cases.base import (
    CPU,
    Case,
    Plan,
    Point,
    Taken,
    check_fan_out,
    crowd_of,
    figures_of,
    plan_rows,
)
from benchmarks.dialects import ROOM
from benchmarks.figures import Figure
from benchmarks.options import Options
from lbproto.load import paced

__all__ = ["PACED"]

_CLIENTS, _EVENTS = (1_000,), (1,)
_SPECIAL = ("c-joined", "lbproto-granian", "node-socketio-recovery")


def _plan(options: Options) -> Plan:
    parameters = {
        "clients": options.clients or _CLIENTS,
        "events": (options.events or _EVENTS)[:1],  # more at this pace is another load
        "payload": options.payload,
        "rate": (options.rate,),
        "stalled": (options.stalled,),
    }
    quick = ("c", "lbproto")
    return plan_rows("fan-out", options, parameters, left_out=_SPECIAL, quick=quick)


def _measure(point: Point, options: Options) -> Taken:
    with crowd_of(point, stalled=int(point.parameters["stalled"])) as (_, crowd):
        crowd.connect()
        crowd.subscribe(ROOM)
        seen = paced(
            crowd,
            rate=float(point.parameters["rate"]),
            events=int(point.parameters["events"]),
            seconds=options.seconds,
            warm=options.warm,
        )
    check_fan_out(seen)
    return Taken({**figures_of(seen), "deliveries": float(seen.deliveries)})


PACED = Case(
    name="paced",
    summary="One room, so many publications a second: delay and server CPU per delivery",
    figures=(
        Figure("p99_ms", "p99", "ms", compared=True),
        Figure("p50_ms", "p50", "ms", compared=True),
        Figure("max_ms", "max", "ms"),
        replace(CPU, compared=True),
        Figure("server_share", "server", "cores", detail=True),
    ),
    plan=_plan,
    measure=_measure,
)
