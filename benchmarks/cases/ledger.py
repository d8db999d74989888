"""Credits in a file: debits a second, each answered when it is on the disk.

Tasks reserve and settle as fast as they are answered. The row `one-by-one` is the same store, but
commits each command by itself: what a transaction a debit costs on this disk. With two commands a
debit is reserved and then settled, and both are answered; with one, a command does both.
"""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import product

from benchmarks.cases.base import Case, Plan, Point, Taken
from benchmarks.figures import Figure
from benchmarks.options import Options

__all__ = ["LEDGER"]

_BATCHES = {"one-by-one": 1, "lbproto": 1_000}  # commands that are committed together at most
_TASKS = 64
_ACCOUNTS = (1, 64)
_COMMANDS = (2, 1)
_QUICK_SECONDS = 0.3


def _plan(options: Options) -> Plan:
    wanted = [name for name in _BATCHES if options.rows is None or name in options.rows]
    return Plan(
        [
            Point(row, {"tasks": _TASKS, "accounts": accounts, "commands": commands})
            for accounts, commands in product(_ACCOUNTS, _COMMANDS)
            for row in wanted
        ]
    )


def _measure(point: Point, options: Options) -> Taken:
    numbers = (_BATCHES[point.row], *(point.parameters[key] for key in _PARAMETERS))
    seconds = _QUICK_SECONDS if options.quick else options.seconds
    asked = [sys.executable, "-m", "benchmarks.debits", *map(str, (*numbers, seconds))]
    done = subprocess.run(asked, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    return Taken(
        {
            "us": found["seconds"] / found["debits"] * 1e6,
            "per_second": found["debits"] / found["seconds"],
            "p50_ms": found["p50"] * 1e3,
            "p99_ms": found["p99"] * 1e3,
            "cpu_us": found["cpu"] / found["debits"] * 1e6,
        }
    )


_PARAMETERS = ("accounts", "commands", "tasks")

LEDGER = Case(
    name="ledger",
    summary="Credits in a SQLite file, spent by 64 tasks: time per debit",
    figures=(
        Figure("us", "time per debit", "µs", digits=0, compared=True),
        Figure("per_second", "debits", "/s", digits=0),
        Figure("p50_ms", "median", "ms", digits=1),
        Figure("p99_ms", "99 %", "ms", digits=1),
        Figure("cpu_us", "CPU per debit", "µs", digits=0, detail=True),
    ),
    plan=_plan,
    measure=_measure,
    bases=("one-by-one",),
)
