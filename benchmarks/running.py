"""Runs a case: everything once per repeat, in an order that favours nobody."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Sequence
from itertools import groupby

from benchmarks.cases.base import Case, CountsDiffer, Point
from benchmarks.instructions import NotCounted
from benchmarks.options import Options
from benchmarks.results import CaseResult, Measurement, alike
from benchmarks.servers import ServerFailed
from lbproto.load import LoadError

__all__ = ["Tell", "order", "run"]

Tell = Callable[[str], None]
"""Told how far a run has got, a line at a time."""

_FAILURES = (
    CountsDiffer,
    LoadError,
    NotCounted,
    OSError,  # TimeoutError among them
    ServerFailed,
    subprocess.SubprocessError,
)
_SHOWN = 300  # characters of a failure


def order(points: Sequence[Point], repeat: int) -> list[Point]:
    """The points of a repeat: rows that are compared one soon after the other, shuffled."""
    shuffled: list[Point] = []
    for _, group in groupby(points, key=lambda point: alike(point.parameters)):
        rows = list(group)
        random.Random(repeat).shuffle(rows)  # noqa: S311 - any order will do, if it is another
        shuffled += rows
    return shuffled


def run(case: Case, options: Options, tell: Tell) -> CaseResult:
    """Measure every point of a case as often as asked for.

    Failures do not end the run: they are told, and stored with the point.

    Raises:
        UnknownRow: rows were asked for that there are not.
    """
    plan = case.plan(options)
    for row, lack in plan.skipped.items():
        tell(f"skipped  {row}: {lack}")
    found = {
        (point.row, *point.parameters.items()): Measurement(
            row=point.row, parameters=point.parameters
        )
        for point in plan.points
    }
    for repeat in range(options.repeats):
        for point in order(plan.points, repeat):
            measurement = found[point.row, *point.parameters.items()]
            told = _take(case, point, options, measurement)
            tell(f"{case.name} {repeat + 1}/{options.repeats}  {_name(point)}: {told}")
    return CaseResult(case=case.name, measurements=list(found.values()), skipped=dict(plan.skipped))


def _take(case: Case, point: Point, options: Options, into: Measurement) -> str:
    """Measure once; what to tell of it."""
    try:
        taken = case.measure(point, options)
    except _FAILURES as failure:
        why = str(failure) or repr(failure)
        if isinstance(failure, subprocess.CalledProcessError) and failure.stderr:
            why = str(failure.stderr).strip().splitlines()[-1]  # of a traceback, what it is about
        into.failures.append(why[:_SHOWN])
        return f"FAILED: {why[:_SHOWN]}"
    into.repeats.append(taken.figures)
    into.series |= taken.series
    if taken.failure:
        into.failures.append(taken.failure)
        return f"FAILED: {taken.failure}"
    shown = [figure for figure in case.figures if figure.key in taken.figures]
    return ", ".join(figure.show(taken.figures[figure.key]) for figure in shown)


def _name(point: Point) -> str:
    given = [f"{name}={value}" for name, value in point.parameters.items() if value]
    return " ".join([point.row, *given])
