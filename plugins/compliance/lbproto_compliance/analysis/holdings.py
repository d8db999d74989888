"""What an address holds of one asset, and which part of it goes when it pays.

Money of an account has no serial numbers: which part of it a payment takes is a convention. The
three that are in use:

    haircut   every payment takes of all that is there, in proportion.
              Möser, Böhme, Breuker: Towards Risk Scoring of Bitcoin Transactions (2014).
    poison    every payment is wholly of every origin that anything there is of. It overstates: what
              it says of two origins may be more than there is. In the same paper.
    fifo      what came first goes first, as courts decide since Clayton's case (1816).
              Anderson, Shumailov, Ahmed, Rietmann: Bitcoin Redux (2018).

Amounts are integers, and whatever is taken is gone from here to the last unit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple, Protocol, TypeAlias

from lbproto_compliance.analysis.report import Method

__all__ = ["HOLDINGS", "Fifo", "Haircut", "Holdings", "Parts", "Poison", "Tag"]


class Tag(NamedTuple):
    """Where money came from.

    Attributes:
        origin: the node that it is traced from.
        hops: payments since.
    """

    origin: int
    hops: int


Parts: TypeAlias = dict[Tag, int]
"""How much of an amount is of which origin. The rest is of none that is known."""


class Holdings(Protocol):
    """One address's, of one asset.

    Args (of `__init__`):
        opening: what is there at first, of no known origin.
    """

    def __init__(self, opening: int) -> None: ...

    def put(self, amount: int, parts: Mapping[Tag, int]) -> None:
        """Receive an amount. It is at least the sum of its parts, except for `Poison`."""

    def take(self, amount: int) -> Parts:
        """Pay an amount, at most what is there."""


class Haircut:
    """Everything there goes in proportion."""

    __slots__ = ("_parts", "_total")

    def __init__(self, opening: int) -> None:
        self._total = opening
        self._parts: Parts = {}

    def put(self, amount: int, parts: Mapping[Tag, int]) -> None:
        self._total += amount
        for tag, part in parts.items():
            self._parts[tag] = self._parts.get(tag, 0) + part

    def take(self, amount: int) -> Parts:
        if not self._parts:
            self._total -= amount
            return {}
        taken = _proportional(amount, self._total, self._parts)
        self._total -= amount
        for tag, part in taken.items():
            left = self._parts[tag] - part
            if left:
                self._parts[tag] = left
            else:
                del self._parts[tag]
        return taken


class Poison:
    """A drop spoils all of it, until all of it is gone."""

    __slots__ = ("_tags", "_total")

    def __init__(self, opening: int) -> None:
        self._total = opening
        self._tags: dict[Tag, None] = {}  # a set that keeps its order

    def put(self, amount: int, parts: Mapping[Tag, int]) -> None:
        self._total += amount
        self._tags.update(dict.fromkeys(parts))

    def take(self, amount: int) -> Parts:
        self._total -= amount
        taken = dict.fromkeys(self._tags, amount)
        if not self._total:
            self._tags.clear()
        return taken


class Fifo:
    """First in, first out."""

    __slots__ = ("_queue",)

    def __init__(self, opening: int) -> None:
        self._queue: deque[tuple[int, Tag | None]] = deque()
        if opening:
            self._queue.append((opening, None))

    def put(self, amount: int, parts: Mapping[Tag, int]) -> None:
        self._queue.extend((part, tag) for tag, part in parts.items())
        if rest := amount - sum(parts.values()):
            self._queue.append((rest, None))

    def take(self, amount: int) -> Parts:
        taken: Parts = {}
        while amount:
            there, tag = self._queue.popleft()
            part = min(there, amount)
            if part < there:
                self._queue.appendleft((there - part, tag))
            if tag is not None:
                taken[tag] = taken.get(tag, 0) + part
            amount -= part
        return taken


HOLDINGS: Mapping[Method, type[Holdings]] = {"haircut": Haircut, "poison": Poison, "fifo": Fifo}
"""By the method's name."""


def _proportional(amount: int, total: int, parts: Parts) -> Parts:
    """Divide an amount as a total is divided, by the largest remainder; what is 0 is left out."""
    taken: Parts = {}
    remainders: list[tuple[int, int, Tag | None]] = []
    unattributed = total - sum(parts.values())
    left, remainder = divmod(amount * unattributed, total)
    if remainder:
        remainders.append((-remainder, -1, None))
    left = amount - left
    for position, (tag, part) in enumerate(parts.items()):
        share, remainder = divmod(amount * part, total)
        left -= share
        if share:
            taken[tag] = share
        if remainder:
            remainders.append((-remainder, position, tag))
    for _, _, gets_more in sorted(remainders)[:left]:
        if gets_more is not None:
            taken[gets_more] = taken.get(gets_more, 0) + 1
    return taken
