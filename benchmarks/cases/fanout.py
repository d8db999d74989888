"""Fan-out in a closed loop: what a delivery costs a server that always has something to do.

A publisher asks for `events` events to a room of `clients`; `window` such publications are under
way at a time, and the next goes out when every delivery of the oldest has arrived. So nothing is
lost, nothing queues without end, and all servers have the same flow control. Deliveries are
counted for every client.
"""

from __future__ import annotations

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
from lbproto.load import fan_out

__all__ = ["FANOUT"]

_CLIENTS, _EVENTS = (100, 1_000, 5_000), (1,)
_FEW = 100  # clients up to which a window has one publication more, lest the server waits
_SPECIAL = ("lbproto-granian", "node-socketio-recovery")


def _plan(options: Options) -> Plan:
    parameters = {
        "clients": options.clients or _CLIENTS,
        "events": options.events or _EVENTS,
        "payload": options.payload,
        "stalled": (options.stalled,),
    }
    return plan_rows("fan-out", options, parameters, left_out=_SPECIAL)


def _measure(point: Point, options: Options) -> Taken:
    clients = int(point.parameters["clients"])
    with crowd_of(point, stalled=int(point.parameters["stalled"])) as (_, crowd):
        crowd.connect()
        crowd.subscribe(ROOM)
        seen = fan_out(
            crowd,
            events=int(point.parameters["events"]),
            window=options.window + (clients <= _FEW),
            seconds=options.seconds,
            warm=options.warm,
        )
    check_fan_out(seen)
    return Taken({**figures_of(seen), "deliveries": float(seen.deliveries)})


FANOUT = Case(
    name="fanout",
    summary="One room, a closed loop: server CPU per delivery",
    figures=(
        CPU,
        Figure("per_second", "deliveries", "/s", digits=0),
        Figure("p99_ms", "p99", "ms"),
        Figure("server_share", "server", "cores", detail=True),
        Figure("generator_share", "generator", "cores", detail=True),
    ),
    plan=_plan,
    measure=_measure,
)
