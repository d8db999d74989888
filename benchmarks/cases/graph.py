"""Walks around addresses in a graph of payments, ours beside libraries of graphs.

The graph is made, with degrees that follow a power law, and the same for all; each library has it
in a process of its own. Answers are compared, in full. With a hub, half of all payments are one
address's, and walks begin at its customers: it is found, and not walked through. What is left is
little: a walk of ours costs a tenth of a millisecond before it finds anything.

`rustworkx` and `networkx` are as their users have them. In `rustworkx-columns` edges carry nothing:
the least memory that it can do with.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.cases.base import Case, CountsDiffer, Plan, Point, Taken
from benchmarks.figures import Figure
from benchmarks.graph_data import make
from benchmarks.machine import SERVER_CORE, on_core
from benchmarks.needs import package
from benchmarks.options import Options

__all__ = ["GRAPH"]

_NEEDS = {
    "lbproto": package("lbproto_compliance", "lbproto-compliance"),
    "rustworkx": package("rustworkx"),
    "rustworkx-columns": package("rustworkx"),
    "networkx": package("networkx"),
}
_SIZES = ((200_000, 2_000_000, 0), (200_000, 2_000_000, 1_000_000))
_QUICK_SIZES = ((500, 1_000, 0),)


def _plan(options: Options) -> Plan:
    wanted = [name for name in _NEEDS if options.rows is None or name in options.rows]
    lacks = {name: lack for name in wanted if (lack := _NEEDS[name]()) is not None}
    points = [
        Point(name, {"nodes": nodes, "edges": edges, "hub": hub})
        for nodes, edges, hub in (_QUICK_SIZES if options.quick else _SIZES)
        for name in wanted
        if name not in lacks and not (hub and name == "networkx")  # minutes, for nothing new
    ]
    return Plan(points, lacks)


def _measure(point: Point, options: Options) -> Taken:
    nodes, edges, hub = (int(point.parameters[name]) for name in ("nodes", "edges", "hub"))
    directory = Path(_made(nodes, edges, hub).name)
    found: dict[str, Any] = {}
    with on_core(SERVER_CORE):
        if point.row == "lbproto":
            shutil.rmtree(directory / "graph", ignore_errors=True)
            built = _run("build", directory)  # what is served has been built before
            found = _run(point.row, directory) | built
        else:
            found = _run(point.row, directory)
    digest = found.pop("digest")
    other, answers = _ANSWERS.setdefault((nodes, edges, hub), (point.row, digest))
    if digest != answers:
        raise CountsDiffer(f"{point.row} does not find what {other} finds")
    return Taken(found)


_ANSWERS: dict[tuple[int, int, int], tuple[str, str]] = {}
"""Who has answered first on each graph, and the digest of that."""


@cache
def _made(nodes: int, edges: int, hub: int) -> TemporaryDirectory[str]:
    """The payments, until this process ends."""
    directory = TemporaryDirectory(prefix="graph-")
    make(Path(directory.name), nodes, edges, hub)
    return directory


def _run(what: str, directory: Path) -> dict[str, Any]:
    asked = [sys.executable, "-m", "benchmarks.graph_walks", what, str(directory)]
    done = subprocess.run(asked, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


GRAPH = Case(
    name="graph",
    summary="Payments three hops around an address, of two million: time per walk, and memory",
    figures=(
        Figure("p50_ms", "median", "ms", compared=True),
        Figure("p99_ms", "99 %", "ms", compared=True),
        Figure("memory_mb", "memory", "MB", digits=0, compared=True),
        Figure("build_s", "built in", "s", digits=1),
        Figure("peak_mb", "memory at most", "MB", digits=0),
        Figure("walked", "payments", "", digits=0, detail=True),
        Figure("largest_ms", "busiest address", "ms", digits=0, detail=True),
        Figure("leave_ms", "left within", "ms", digits=1, detail=True),
    ),
    plan=_plan,
    measure=_measure,
    bases=("rustworkx", "networkx"),
)
