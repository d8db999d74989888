"""Single operations, each in a process of its own: CPU time, or instructions.

See `benchmarks.micro` for the operations. CPU time of microseconds is noisy on a machine that has
other things to do; instructions are nearly the same from run to run, so that one per cent shows.
"""

from __future__ import annotations

import subprocess
import sys

from benchmarks import instructions
from benchmarks.cases.base import Case, Plan, Point, Taken
from benchmarks.figures import Figure
from benchmarks.machine import SERVER_CORE, on_core
from benchmarks.micro import OPERATIONS
from benchmarks.options import Options

__all__ = ["INSTRUCTIONS", "MICRO"]

_MODULE = "benchmarks.micro.run"
_FLOOR = ("floor",)


def _plan(options: Options) -> Plan:
    if options.instructions and (lack := instructions.missing()) is not None:
        return Plan([], {"all operations": lack})
    rows = None if options.rows is None else (*options.rows, *_FLOOR)
    wanted = [one for one in OPERATIONS if rows is None or one.row in rows]
    if options.quick:
        wanted = [one for one in wanted if one.row in ("floor", "lbproto", "python-socketio")]
    return Plan([Point(one.row, {"operation": one.name}) for one in wanted])


def command(operation: str, row: str, times: int) -> list[str]:
    """What runs an operation: see `benchmarks.micro.run`."""
    return [sys.executable, "-m", _MODULE, operation, row, str(times)]


def _clock(point: Point, options: Options) -> Taken:
    asked = command(str(point.parameters["operation"]), point.row, -1 if options.quick else 0)
    with on_core(SERVER_CORE):
        done = subprocess.run(asked, check=True, capture_output=True, text=True)
    return Taken({"cpu_us": float(done.stdout)})


def _count(point: Point, options: Options) -> Taken:
    name = str(point.parameters["operation"])
    times = next(one.count for one in OPERATIONS if (one.name, one.row) == (name, point.row))
    if options.quick:
        times = max(times // 10, 10)
    once, twice = (
        instructions.count(command(name, point.row, number)) for number in (times, 2 * times)
    )
    return Taken({"instructions": instructions.per_operation(once, twice, times)})


MICRO = Case(
    name="micro",
    summary="Single operations without a network: CPU time of each",
    figures=(Figure("cpu_us", "CPU per operation", "µs", digits=3, compared=True),),
    plan=_plan,
    measure=_clock,
    bases=_FLOOR,
)

INSTRUCTIONS = Case(
    name="instructions",
    summary="Single operations without a network: instructions of each",
    figures=(Figure("instructions", "instructions", "", digits=0, compared=True),),
    plan=_plan,
    measure=_count,
    bases=_FLOOR,
    noise=0.01,
)
"""The same operations, counted."""
