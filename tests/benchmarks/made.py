"""Runs that were never run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.cases.base import Case, Plan, Point, Taken
from benchmarks.figures import Figure
from benchmarks.machine import Machine
from benchmarks.options import Options
from benchmarks.results import CaseResult, Measurement, Results

__all__ = ["case", "found", "measured", "results"]

MACHINE = Machine(
    processor="imagined", cores=2, pinned=True, system="none", versions={"python": "3"}
)


def _plan(options: Options) -> Plan:
    return Plan([])


def _measure(point: Point, options: Options) -> Taken:
    raise AssertionError("not to be measured")


def case(*bases: str, name: str = "fanout") -> Case:
    """A case with two figures, one of which is compared."""
    figures = (Figure("cpu_us", "CPU", "µs", compared=True), Figure("per_second", "rate", "/s"))
    return Case(name, "Made up", figures, _plan, _measure, bases)


def measured(
    row: str, cpu: Sequence[float], *, clients: int = 100, wire: str = "text"
) -> Measurement:
    """A row with so many repeats."""
    return Measurement(
        row=row,
        parameters={"clients": clients, "events": 1, "wire": wire},
        repeats=[{"cpu_us": value, "per_second": 1e6 / value} for value in cpu],
    )


def found(*measurements: Measurement, skipped: Mapping[str, str] | None = None) -> CaseResult:
    """What a case has found."""
    return CaseResult(case="fanout", measurements=list(measurements), skipped=dict(skipped or {}))


def results(*cases: CaseResult) -> Results:
    """A whole run."""
    return Results(taken="2026-01-02T03:04:05+00:00", machine=MACHINE, cases=list(cases))
