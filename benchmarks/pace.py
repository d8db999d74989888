"""How many publications a second give a server so much to do.

What a delivery costs is not constant: a busy server joins several events into one write. So a pace
at which it uses a share of a core cannot be computed from another; it is sought, by trying.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["CLOSE", "Pace", "find_pace"]

CLOSE = 0.03
"""Within so much of a core of the share that was asked for, a pace is taken for found."""

_MAX_FASTER = 8.0  # from one try to the next: what is said of a server by next to no load is vague
_NEAREST = 0.15  # of what is between two paces: a try nearer to one of them would tell nothing


@dataclass(frozen=True)
class Pace:
    """A pace that was tried.

    Attributes:
        rate: publications a second.
        share: of a core that the server used, on a core per second of wall time.
        kept: whether the server had time to spare, and the deliveries came as fast as they were
            asked for. If not, it only joined more of them in each write, or fell behind, and the
            share says nothing of the pace.
    """

    rate: float
    share: float
    kept: bool = True


def find_pace(attempt: Callable[[float], Pace], load: float, *, start: float, tries: int) -> Pace:
    """Seek the pace at which the server uses a share of a core.

    Each try is at a straight line's guess from the tries before. One that is close is done again,
    and counts with the mean of both, lest a moment in which the machine was busy decides.

    Args:
        attempt: keeps up a pace for a while, and says what the server used.
        load: the share that it is to use.
        start: the first pace. Begin low: more load costs less for each delivery, so guesses from
            below do not go beyond what the server manages.
        tries: how many there are at most, the second ones not counted.

    Returns:
        The nearest of those that were kept up, however far off: the share may be out of reach,
        because the load generator or others on the core need the time. Of those about as near, the
        slowest, since at the others the server only joins more. Where none was kept up, the last.
    """
    below, above = Pace(0.0, 0.0), None
    kept: list[Pace] = []
    rate, seen = start, Pace(start, 0.0, kept=False)
    for _ in range(tries):
        seen = attempt(rate)
        if _off(seen, load) <= CLOSE:
            again = attempt(rate)
            seen = Pace(rate, (seen.share + again.share) / 2, seen.kept and again.kept)
        if seen.kept:
            kept.append(seen)
            if _off(seen, load) <= CLOSE:
                return seen
        if seen.kept and seen.share < load:
            below = seen
        else:
            above = seen
        rate = _guess(below, above, load)
    nearest = min((_off(pace, load) for pace in kept), default=0.0)
    near = [pace for pace in kept if _off(pace, load) <= nearest + CLOSE]
    return min(near, key=lambda pace: pace.rate, default=seen)


def _guess(below: Pace, above: Pace | None, load: float) -> float:
    if above is None:
        return below.rate * min(_MAX_FASTER, load / max(below.share, 1e-9))
    part = 0.5
    if above.kept and above.share > below.share:
        part = (load - below.share) / (above.share - below.share)
    part = min(max(part, _NEAREST), 1 - _NEAREST)
    return below.rate + part * (above.rate - below.rate)


def _off(pace: Pace, load: float) -> float:
    return abs(pace.share - load)
