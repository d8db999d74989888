"""What a core of a node, and of the broker, is used for, by the number of nodes: a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.capacity.costs import UnitCosts
from benchmarks.capacity.model import capacity
from benchmarks.capacity.parts import Limits
from benchmarks.capacity.workload import Workload

__all__ = ["draw"]

_FROM, _TO = 4, 100
_COLOURS = ("#1f5fbf", "#c26a1a", "#5b8c3e", "#8e5ea2", "#b5484d", "#3c8f8f", "#8a8f98")
_MOST = 2.0  # cores that are shown
_STYLE: dict[Any, Any] = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "font.size": 9,
    "savefig.facecolor": "white",
}


def draw(work: Workload, costs: UnitCosts, limits: Limits, file: Path) -> None:
    """Draw a picture for these clients.

    Raises:
        OSError: it cannot be written.
        ValueError: it has no ending of a picture.
    """
    numbers = range(_FROM, _TO + 1)
    found = [capacity(work, nodes, costs, limits) for nodes in numbers]
    with mpl.rc_context(_STYLE):
        canvas = Figure(figsize=(9, 3.6), layout="constrained")
        node, broker = canvas.subplots(1, 2, sharey=True)
        _stack(node, numbers, [each.cores for each in found], limits.cpu, "upper right")
        _stack(broker, numbers, [each.broker for each in found], limits.cpu, "upper left")
        node.set_title("a core of each node")
        broker.set_title("a core of the broker")
        node.set_ylabel("cores")
        canvas.savefig(file, dpi=110)


def _stack(
    axes: Axes,
    numbers: Sequence[int],
    parts: Sequence[Mapping[str, float]],
    target: float,
    legend: Literal["upper left", "upper right"],
) -> None:
    names = sorted(parts[0], key=lambda name: -parts[-1][name])
    values = [[each[name] for each in parts] for name in names]
    axes.stackplot(numbers, values, labels=names, colors=_COLOURS)
    axes.axhline(target, color="#222222", linestyle="--", linewidth=1)
    axes.set_xlim(_FROM, _TO)
    axes.set_ylim(0, _MOST)
    axes.set_xlabel("nodes")
    axes.legend(fontsize=7, loc=legend)
