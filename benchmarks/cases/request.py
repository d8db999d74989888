"""Requests: what a checked request and its answer cost a server.

Every connection has `depth` requests under way, and sends the next when one is answered. The
request has four fields that are checked, one of them a choice; the answer has four too. Every
request asks for an acknowledgement: the other Socket.IO servers answer by that alone, lbproto by an
event, as its protocol has it, and by the acknowledgement.
"""

from __future__ import annotations

from dataclasses import replace

from benchmarks.cases.base import (
    CPU,
    Case,
    CountsDiffer,
    Plan,
    Point,
    Taken,
    crowd_of,
    figures_of,
    plan_rows,
)
from benchmarks.figures import Figure
from benchmarks.options import Options
from lbproto.load import requests

__all__ = ["REQUEST"]

_CLIENTS = (64,)
_SPECIAL = ("lbproto-granian", "node-socketio-recovery")


def _plan(options: Options) -> Plan:
    parameters = {"clients": options.clients or _CLIENTS, "depth": (options.depth,)}
    quick = ("c", "fastapi", "lbproto", "node-socketio", "python-socketio")
    return plan_rows("request", options, parameters, left_out=_SPECIAL, quick=quick)


def _measure(point: Point, options: Options) -> Taken:
    with crowd_of(point) as (_, crowd):
        crowd.connect()
        seen = requests(
            crowd,
            depth=int(point.parameters["depth"]),
            seconds=options.seconds,
            warm=options.warm,
        )
    if not seen.fewest:
        raise CountsDiffer("a client got no answer at all")
    return Taken({**figures_of(seen), "requests": float(seen.requests)})


REQUEST = Case(
    name="request",
    summary="Requests that are checked and answered: server CPU per request",
    figures=(
        replace(CPU, title="CPU per request"),
        Figure("per_second", "requests", "/s", digits=0),
        Figure("p50_ms", "p50", "ms"),
        Figure("p99_ms", "p99", "ms"),
        Figure("generator_share", "generator", "cores", detail=True),
    ),
    plan=_plan,
    measure=_measure,
)
