"""Numbers from repeats: a median, its spread, and ratios that do not drift with the machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

__all__ = ["Figure", "Spread", "differs", "ratio", "spread"]

NOISE = 0.1
"""How far two runs of the same thing lie apart on a machine that has other things to do."""


@dataclass(frozen=True)
class Figure:
    """One of the numbers that a case measures.

    Attributes:
        key: its name in a repeat.
        title: its name for a reader.
        unit: what it is counted in.
        digits: how many of them behind the point say something.
        compared: whether less of it is better, and its ratio to that of the base is shown.
        detail: whether it only helps to judge the others, and is left out of documents.
    """

    key: str
    title: str
    unit: str
    digits: int = 2
    compared: bool = False
    detail: bool = False

    def show(self, value: float) -> str:
        """A value of it, in words."""
        number = f"{value:,.{self.digits}f}"
        return " ".join(part for part in (self.title, number, self.unit) if part)


@dataclass(frozen=True)
class Spread:
    """A median, and the least and the greatest of what it is the median of."""

    middle: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Sum up repeats.

    Raises:
        statistics.StatisticsError: there are none.
    """
    return Spread(median(values), min(values), max(values))


def ratio(values: Sequence[float], base: Sequence[float]) -> Spread | None:
    """How many times the base something costs.

    Repeat by repeat, because the rows of a repeat were run one soon after the other: when the
    machine as a whole is slow for a while, both are. Where the two have not the same number of
    repeats, the base's median stands for all of them.

    Returns:
        None where there is no base, or it costs nothing.
    """
    if not values or not base:
        return None
    bases = list(base) if len(base) == len(values) else [median(base)] * len(values)
    if min(bases) <= 0:
        return None
    return spread([value / other for value, other in zip(values, bases, strict=True)])


def differs(now: Spread, stored: Spread, noise: float = NOISE) -> bool:
    """Whether two medians lie further apart than their repeats do, and than noise does.

    Args:
        noise: a share of the stored median; a difference below it says nothing.
    """
    apart = now.low > stored.high or now.high < stored.low
    return apart and abs(now.middle - stored.middle) > noise * abs(stored.middle)
