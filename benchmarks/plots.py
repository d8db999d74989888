"""Plots of a run: PNG files, one for each thing there is to see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median_high
from typing import Any

import matplotlib as mpl
import matplotlib.ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from benchmarks.cases import CASES
from benchmarks.compare import base_of, groups
from benchmarks.figures import Figure, ratio, spread
from benchmarks.report import label
from benchmarks.results import CaseResult, Measurement, Results

__all__ = ["draw"]

_OURS, _PEER, _FLOOR = "#1f5fbf", "#8a8f98", "#222222"
_LINES = ("#c26a1a", "#5b8c3e", "#8e5ea2", "#b5484d", "#3c8f8f", "#8a8f98", "#a08a3c", "#c07fa0")
_STYLE: dict[Any, Any] = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "font.size": 10,
    "grid.color": "#e4e6ea",
    "savefig.facecolor": "white",  # also in dark documents
}
_DPI = 110
_CLOSE = 0.045  # of the height: labels nearer than this are moved apart

Drawing = tuple[str, Canvas]


def draw(results: Results, directory: Path) -> list[Path]:
    """Draw what a run holds.

    Returns:
        The files that were written; one that was there already is replaced.
    """
    directory.mkdir(parents=True, exist_ok=True)
    drawn = []
    with mpl.rc_context(_STYLE):
        for found in results.cases:
            for name, canvas in _drawings(found):
                path = directory / f"{name}.png"
                canvas.savefig(path, dpi=_DPI)
                drawn.append(path)
    return drawn


def _drawings(found: CaseResult) -> Iterator[Drawing]:
    if found.case == "fanout":
        yield from _lines(found)
    elif found.case == "soak":
        yield from _soaks(found)
    elif found.case in _BARS:
        yield from _bars(found)


# Lines: a figure over a parameter


def _lines(found: CaseResult) -> Iterator[Drawing]:
    figure = CASES[found.case].figures[0]
    everyone = [one for one in found.measurements if one.values(figure.key)]
    for parameter, other, choose, name, axis in (
        ("clients", "events", min, "fanout", "clients in the room"),
        ("events", "clients", median_high, "turn", "events published together"),
    ):
        fixed = choose({int(one.parameters[other]) for one in everyone} or {0})
        points = [one for one in everyone if one.parameters[other] == fixed]
        if len({one.parameters[parameter] for one in points}) > 1:
            title = f"Server CPU per delivery, {fixed:,} {other}" if fixed != 1 else ""
            yield name, _line_plot(found, points, parameter, axis, title)


def _line_plot(
    found: CaseResult, points: Sequence[Measurement], parameter: str, axis: str, title: str
) -> Canvas:
    canvas, axes = _canvas(title or "Server CPU per delivery")
    rows: dict[str, list[Measurement]] = {}
    for one in points:
        rows.setdefault(label(one, found), []).append(one)
    colours = iter(_LINES * len(rows))
    ends = []
    for row, measured in rows.items():
        measured.sort(key=lambda one: one.parameters[parameter])
        across = [int(one.parameters[parameter]) for one in measured]
        spreads = [spread(one.values("cpu_us")) for one in measured]
        up = [one.middle for one in spreads]
        colour, width = _line_style(measured[0].row, colours)
        axes.plot(across, up, color=colour, linewidth=width, marker="o", markersize=3.5)
        axes.fill_between(
            across,
            [one.low for one in spreads],
            [one.high for one in spreads],
            color=colour,
            alpha=0.12,
            linewidth=0,
        )
        ends.append((up[-1], row, colour, across[-1]))
    axes.set_xscale("log")
    axes.set_yscale("log")
    ticks = sorted({int(one.parameters[parameter]) for one in points})
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.yaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel(axis)
    axes.set_ylabel("µs, log scale")
    _name_ends(axes, ends)
    return canvas


def _line_style(row: str, colours: Iterator[str]) -> tuple[str, float]:
    if row == "lbproto":
        return _OURS, 2.6
    if row.startswith("lbproto"):
        return _OURS, 1.0
    return (_FLOOR if row == "c" else next(colours)), 1.4


def _name_ends(axes: Axes, ends: list[tuple[float, str, str, int]]) -> None:
    """Write each line's name at its end, from the bottom up, none over another."""
    below = float("-inf")
    to_axes = axes.transData + axes.transAxes.inverted()
    for height, row, colour, across in sorted(ends):
        at = max(float(to_axes.transform((across, height))[1]), below + _CLOSE)
        below = at
        axes.text(1.02, at, row, color=colour, transform=axes.transAxes, va="center", fontsize=9)


# Bars: a figure of each row

_BARS: dict[str, tuple[str, str]] = {
    "paced": ("p99_ms", "Delay, 99 of 100 deliveries"),
    "request": ("cpu_us", "Server CPU per request"),
    "idle": ("kib", "Memory of an idle connection"),
    "recovery": ("resume_us", "Server CPU to resume a session"),
    "ledger": ("us", "Time per debit, 64 tasks"),
    "imports": ("cpu_ms", "CPU to import"),
}
"""Of each case, the figure that is drawn and its title."""


def _bars(found: CaseResult) -> Iterator[Drawing]:
    case = CASES[found.case]
    key, title = _BARS[found.case]
    figure = next(one for one in case.figures if one.key == key)
    measured = [group for group in groups(found) if any(one.values(key) for one in group)]
    for group in measured[-1:]:  # of several numbers of clients, the largest
        rows = sorted(
            (one for one in group if one.values(key)),
            key=lambda one: spread(one.values(key)).middle,
            reverse=True,
        )
        yield found.case, _bar_plot(found, rows, figure, title, base_of(case, group))


def _bar_plot(
    found: CaseResult,
    rows: Sequence[Measurement],
    figure: Figure,
    title: str,
    base: Measurement | None,
) -> Canvas:
    canvas, axes = _canvas(title, height=1.1 + 0.34 * len(rows))
    spreads = [spread(one.values(figure.key)) for one in rows]
    widths = [one.middle for one in spreads]
    axes.barh(
        [label(one, found) for one in rows],
        widths,
        xerr=[
            [one.middle - one.low for one in spreads],
            [one.high - one.middle for one in spreads],
        ],
        color=[_OURS if one.row.startswith("lbproto") else _PEER for one in rows],
        ecolor="#444444",
        error_kw={"linewidth": 0.8},
        height=0.62,
    )
    for at, one in enumerate(rows):
        to_base = ratio(one.values(figure.key), base.values(figure.key)) if base else None
        said = f"{spreads[at].middle:,.{figure.digits}f}"
        if to_base is not None:
            said += f"   × {to_base.middle:.2f}"
        axes.annotate(
            said,
            (max(spreads[at].high, widths[at]), at),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    axes.grid(visible=False, axis="y")
    axes.set_xlim(right=max(one.high for one in spreads) * 1.25)
    axes.set_xlabel(figure.unit)
    return canvas


# A soak: figures over time

_PANELS: tuple[tuple[str, str], ...] = (
    ("rss_mib", "memory, MiB"),
    ("p99_ms", "p99, ms"),
    ("per_second", "deliveries a second"),
    ("server_share", "server, of a core"),
)


def _soaks(found: CaseResult) -> Iterator[Drawing]:
    for one in found.measurements:
        if one.series:
            yield f"soak-{one.row}", _soak_plot(one)


def _soak_plot(one: Measurement) -> Canvas:
    canvas = Canvas(figsize=(8, 5), layout="constrained")
    minutes = [second / 60 for second in one.series["seconds"]]
    for axes, (key, title) in zip(canvas.subplots(2, 2, sharex=True).flat, _PANELS, strict=True):
        axes.plot(minutes, one.series[key], color=_OURS, linewidth=1.4)
        axes.set_title(title, fontsize=10)
        axes.set_ylim(bottom=0, top=max(*one.series[key], 1e-9) * 1.25)
    canvas.supxlabel("minutes")
    return canvas


def _canvas(title: str, height: float = 4.6) -> tuple[Canvas, Axes]:
    canvas = Canvas(figsize=(8, height), layout="constrained")
    axes: Axes = canvas.subplots()
    axes.set_title(title)
    return canvas, axes
