"""Movements of one account, put in order again where answers overtake each other. Pure.

Theory of operation. Whoever has an account changed begins before the store is asked and ends with
what was committed. Of two that are under way at once, the later commit may be told first. So a
movement waits until no lower version can come any more: because it is the next one, or because all
have ended that were under way when it came. Whoever begins after that can only be given a higher
version.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush

from lbproto.ledger.account import Movement

__all__ = ["InOrder"]


class InOrder:
    """The movements of one account, as far as this node makes them.

    Attributes:
        under_way: who has begun and not ended, the oldest first.
    """

    __slots__ = ("_begun", "_last", "_waiting", "under_way")

    def __init__(self) -> None:
        self._begun = 0
        self._last = 0  # the highest version that has been let go
        self._waiting: list[tuple[int, int, Movement]] = []
        self.under_way: dict[int, None] = {}

    def begin(self) -> int:
        """Note that a call to the store begins; returns the token to `end` it by."""
        number = self._begun
        self._begun += 1
        self.under_way[number] = None
        return number

    def end(self, number: int, movements: Sequence[Movement]) -> Sequence[Movement]:
        """They have been answered, or have failed.

        Args:
            number: by which they began.
            movements: what they have moved, as committed.

        Returns:
            What is now to be told, in order; nothing is kept back once nobody is under way.
        """
        del self.under_way[number]
        if not self.under_way and not self._waiting:
            return movements  # nobody was ever overtaken
        for movement in movements:
            heappush(self._waiting, (movement.version, self._begun, movement))
        oldest = next(iter(self.under_way), self._begun)
        ready: list[Movement] = []
        while self._waiting:
            version, begun, movement = self._waiting[0]
            if version != self._last + 1 and oldest < begun:
                break
            heappop(self._waiting)
            self._last = version
            ready.append(movement)
        return ready
