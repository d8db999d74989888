"""Imports: what it costs to have a library at all.

Each is imported in an interpreter of its own, which counts its CPU time and the modules that are
there afterwards; what the bare interpreter has is not counted.
"""

from __future__ import annotations

import subprocess
import sys

from benchmarks.cases.base import Case, Plan, Point, Taken
from benchmarks.figures import Figure
from benchmarks.machine import SERVER_CORE, on_core
from benchmarks.needs import package
from benchmarks.options import Options

__all__ = ["IMPORTS"]

_STARTS = 5  # interpreters a measurement; the least of them is the least disturbed
_MODULES = {
    "lbproto": ("lbproto", "lbproto"),
    "lbproto-wire": ("lbproto.wire", "lbproto"),
    "lbproto-market": ("lbproto_market", "lbproto-market"),
    "starlette": ("starlette.applications, starlette.websockets", "starlette"),
    "fastapi": ("fastapi", "fastapi"),
    "python-socketio": ("socketio", "python-socketio"),
    "websockets": ("websockets.asyncio.server", "websockets"),
    "uvicorn": ("uvicorn", "uvicorn"),
}
_PROGRAM = """
import sys, time
before, begin = len(sys.modules), time.process_time_ns()
import {modules}
print((time.process_time_ns() - begin) / 1e6, len(sys.modules) - before)
"""


def _plan(options: Options) -> Plan:
    wanted = [name for name in _MODULES if options.rows is None or name in options.rows]
    lacks = {}
    for name in wanted:
        modules, distribution = _MODULES[name]
        if (lack := package(modules.partition(".")[0], distribution)()) is not None:
            lacks[name] = lack
    return Plan([Point(name, {}) for name in wanted if name not in lacks], lacks)


def _measure(point: Point, options: Options) -> Taken:
    program = _PROGRAM.format(modules=_MODULES[point.row][0])
    starts = []
    with on_core(SERVER_CORE):
        for _ in range(1 if options.quick else _STARTS):
            done = subprocess.run(
                [sys.executable, "-c", program], check=True, capture_output=True, text=True
            )
            starts.append(tuple(map(float, done.stdout.split())))
    milliseconds, modules = min(starts)
    return Taken({"cpu_ms": milliseconds, "modules": modules})


IMPORTS = Case(
    name="imports",
    summary="A library imported: CPU time and modules",
    figures=(
        Figure("cpu_ms", "CPU to import", "ms", digits=0, compared=True),
        Figure("modules", "modules", "", digits=0, compared=True),
    ),
    plan=_plan,
    measure=_measure,
    bases=("python-socketio", "fastapi"),
)
