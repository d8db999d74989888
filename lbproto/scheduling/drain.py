"""Which connections are closed when, while a server is drained. Pure.

A server that closes all its connections in one moment has all its clients back in one moment, on
whoever takes its place. Clients come back by themselves, most of them without asking how long to
wait, so it is the closing that has to be spread out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil
from random import Random
from typing import Generic, TypeVar

__all__ = ["Batch", "batches"]

_INTERVAL = 0.1

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """Connections that are closed at the same time.

    Attributes:
        after: when, in seconds from the start of the drain.
        members: who.
    """

    after: float
    members: Sequence[T]

    @property
    def retry_after(self) -> int:
        """What they are told: whole seconds, at least 1; they have gone by then."""
        return max(1, ceil(self.after))


def batches(everyone: Iterable[T], seconds: float, random: Random) -> list[Batch[T]]:
    """Spread connections evenly over a time span, in random order.

    The order is random so that those who came together, as after the last restart, do not go
    together.

    Args:
        seconds: how long, 0 or more; the first batch goes at once, the last a tenth of a second
            before the end.
        random: the source of the order.
    """
    order = list(everyone)
    random.shuffle(order)
    most = max(1, round(seconds / _INTERVAL))

    def slot(place: int) -> int:
        return place * most // len(order)

    return [
        Batch(number * seconds / most, [order[place] for place in places])
        for number, places in groupby(range(len(order)), slot)
    ]
