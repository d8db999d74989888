"""Rows beside each other, and a run beside one that was stored: by ratios, never by figures alone.

Two runs are of two moments, and maybe of two machines: a figure of one means nothing beside the
same figure of the other. What each row costs in terms of a peer of its own run does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.cases.base import Case
from benchmarks.figures import Figure, Spread, differs, ratio, spread
from benchmarks.results import CaseResult, Measurement, Parameters, alike

__all__ = ["Difference", "base_of", "differences", "groups"]

Group = list[Measurement]


@dataclass(frozen=True)
class Difference:
    """One row in two runs.

    Attributes:
        row: its name.
        parameters: under what it was measured.
        figure: of what.
        base: the row that both ratios are to.
        now: how many times the base it costs.
        stored: how many times it did.
        real: whether the two are further apart than their repeats.
    """

    row: str
    parameters: Parameters
    figure: Figure
    base: str
    now: Spread
    stored: Spread
    real: bool

    @property
    def change(self) -> float:
        """The ratio of the ratios: above 1, it costs more than it did."""
        return self.now.middle / self.stored.middle


def groups(found: CaseResult) -> list[Group]:
    """The measurements that can be compared with each other, in the order in which they are."""
    by_parameters: dict[object, Group] = {}
    for measurement in found.measurements:
        by_parameters.setdefault(alike(measurement.parameters), []).append(measurement)
    return list(by_parameters.values())


def base_of(case: Case, group: Group, wanted: str | None = None) -> Measurement | None:
    """The one that ratios of a group are to.

    Args:
        wanted: the row to take, where it was measured.

    Returns:
        None where nothing can serve.
    """
    figure = case.figures[0].key
    measured = {one.row: one for one in group if one.values(figure)}
    for row in (wanted, *case.bases):
        if row is not None and row in measured:
            return measured[row]
    peers = [one for one in measured.values() if not one.row.startswith("lbproto")]
    return min(peers, key=lambda one: spread(one.values(figure)).middle, default=None)


def differences(
    case: Case, now: CaseResult, stored: CaseResult, wanted: str | None = None
) -> Iterator[Difference]:
    """Every row that is in both runs, and is not what ratios are to.

    Args:
        wanted: the row that they are to, where it is in both.
    """
    before = {alike(group[0].parameters): group for group in groups(stored)}
    for group in groups(now):
        old = before.get(alike(group[0].parameters), [])
        old_rows = {one.row for one in old}
        base = base_of(case, [one for one in group if one.row in old_rows], wanted)
        if base is None:
            continue
        old_base = next(one for one in old if one.row == base.row)
        for one in group:
            for other in old:
                if _same(one, other) and one.row != base.row:
                    yield from _of_figures(case, one, other, base, old_base)


def _same(one: Measurement, other: Measurement) -> bool:
    return one.row == other.row and one.parameters == other.parameters


def _of_figures(
    case: Case, one: Measurement, other: Measurement, base: Measurement, old_base: Measurement
) -> Iterator[Difference]:
    for figure in case.figures:
        if not figure.compared:
            continue
        now = ratio(one.values(figure.key), base.values(figure.key))
        stored = ratio(other.values(figure.key), old_base.values(figure.key))
        if now is not None and stored is not None and stored.middle:
            real = differs(now, stored, case.noise)
            yield Difference(one.row, one.parameters, figure, base.row, now, stored, real)
