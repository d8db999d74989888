"""Whether a server stays as it is: what a soak's windows say.

A window is a measurement of some seconds. Of those after the server has settled, the first third is
compared with the last, each by its median and its quartiles: so a window in which the machine had
something else to do decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from benchmarks.figures import Spread, differs

__all__ = ["SETTLED_SECONDS", "Trend", "settles", "trends"]

SETTLED_SECONDS = 150.0
"""A lost session is kept for 120 s, and so is the log: until then memory has to grow."""

_HOUR = 3600.0


@dataclass(frozen=True)
class Watched:
    """A figure that is not to grow.

    Attributes:
        key: of the series.
        title: for a reader.
        unit: of the figure.
        most: the share of the first third's median that it may grow by.
        scatters: whether windows differ by chance. Then it has grown only if the middle halves of
            the two thirds lie apart too.
    """

    key: str
    title: str
    unit: str
    most: float
    scatters: bool = True


_WATCHED = (
    Watched("rss_mib", "memory", "MiB", most=0.02, scatters=False),
    Watched("p50_ms", "p50", "ms", most=0.1),
    Watched("p99_ms", "p99", "ms", most=0.1),
    Watched("server_share", "server", "cores", most=0.05),
)


@dataclass(frozen=True)
class Trend:
    """How one figure went.

    Attributes:
        watched: which.
        first: the median of the first third's windows, with their quartiles.
        last: that of the last third's.
        seconds: between the middles of the two.
    """

    watched: Watched
    first: Spread
    last: Spread
    seconds: float

    @property
    def share(self) -> float:
        """What it has grown by, as a share of what it was."""
        grown = self.last.middle - self.first.middle
        return grown / self.first.middle if self.first.middle else 0.0

    @property
    def per_hour(self) -> float:
        """What it would grow by in an hour."""
        grown = self.last.middle - self.first.middle
        return grown / self.seconds * _HOUR if self.seconds else 0.0

    @property
    def flat(self) -> bool:
        """Whether it stayed as it was, or got less."""
        if not self.watched.scatters:
            return self.share <= self.watched.most
        grew = self.last.middle > self.first.middle
        return not (grew and differs(self.last, self.first, self.watched.most))

    def __str__(self) -> str:
        first, last = (
            f"{third.middle:,.2f} ({third.low:,.2f} to {third.high:,.2f})"
            if self.watched.scatters
            else f"{third.middle:,.2f}"
            for third in (self.first, self.last)
        )
        return (
            f"{self.watched.title}: {first}, then {last} {self.watched.unit}: {self.share:+.1%}, "
            f"{self.per_hour:+,.2f} an hour, {'flat' if self.flat else 'NOT FLAT'}"
        )


def settles(seconds: float) -> bool:
    """Whether a run of so many seconds is long enough for a verdict."""
    return seconds >= 2 * SETTLED_SECONDS


def trends(series: Mapping[str, Sequence[float]]) -> dict[str, Trend]:
    """How the figures of a series went, by their keys.

    Where the time after the server had settled is less than half of the run, it is the second half
    that is looked at.
    """
    seconds = series["seconds"]
    begin = min(SETTLED_SECONDS, seconds[-1] / 2)
    settled = [at for at, moment in enumerate(seconds) if moment >= begin]
    third = max(1, len(settled) // 3)
    first, last = settled[:third], settled[-third:]

    def of(key: str, windows: Sequence[int]) -> list[float]:
        return [series[key][at] for at in windows]

    between = median(of("seconds", last)) - median(of("seconds", first))
    return {
        watched.key: Trend(
            watched, _third(of(watched.key, first)), _third(of(watched.key, last)), between
        )
        for watched in _WATCHED
    }


def _third(values: Sequence[float]) -> Spread:
    if len(values) < 2:
        return Spread(values[0], values[0], values[0])
    low, middle, high = quantiles(values, n=4, method="inclusive")
    return Spread(middle, low, high)
