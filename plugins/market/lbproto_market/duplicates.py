"""Which trades of a venue were counted, so that none counts twice.

A feed that reconnects repeats trades. A venue numbers its trades in the order in which they happen,
mostly without leaving a number out, so what was counted is remembered as ranges of numbers: one
range as long as nothing is missing, however many trades that are.

    an id ...                      is
    after all ranges               new; makes the last range longer, or a new range
    in a range                     a repetition
    between two ranges             new; makes one longer, or joins both
    below the mark                 too old to tell; refused, as a repetition would be wrong for ever

The number of ranges is bounded. With one too many, the lowest go, and the mark rises above them:
of ids below it nothing is remembered. Where ids have holes (one numbering for all symbols), the
bound is on the trades remembered one by one.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Collection

__all__ = ["RANGES", "Counted"]

RANGES = 65_536
"""Ranges remembered of a venue's ids, by default; 16 bytes each."""


class Counted:
    """The ids of one venue's trades that were counted.

    Args:
        ranges: how many are remembered, at least 8.
    """

    __slots__ = ("_begin", "_begins", "_lasts", "_next", "_ranges", "mark")

    def __init__(self, ranges: int = RANGES) -> None:
        self.mark = 0
        """Of ids below this, nothing is known."""
        self._ranges = ranges
        # All ranges but the newest, which is [begin, next): nearly every trade makes it longer.
        self._begins = array("q")
        self._lasts = array("q")
        self._begin = self._next = 0

    def add(self, number: int) -> bool:
        """Whether a trade of this id, 0 to 2**63 - 1, is to be counted; from now on it is not."""
        if number == self._next:
            self._next = number + 1
            return True
        if number > self._next:
            self._begin_range(number)
            return True
        return number < self._begin and self._insert(number)

    def resume(self, mark: int, numbers: Collection[int]) -> None:
        """These were counted in an earlier life; of ids below the mark nothing is known."""
        for number in sorted(numbers):
            self.add(number)
        self.mark = max(self.mark, mark)

    def _begin_range(self, number: int) -> None:
        if self._begin < self._next:
            self._begins.append(self._begin)
            self._lasts.append(self._next - 1)
            self._bound()
        self._begin, self._next = number, number + 1

    def _insert(self, number: int) -> bool:
        """An id below the newest range."""
        if number < self.mark:
            return False
        begins, lasts = self._begins, self._lasts
        after = bisect_right(begins, number)
        if after and number <= lasts[after - 1]:
            return False
        follows = after > 0 and lasts[after - 1] == number - 1
        precedes = (begins[after] if after < len(begins) else self._begin) == number + 1
        if precedes and after == len(begins):
            self._begin = begins.pop() if follows else number
            if follows:
                lasts.pop()
        elif precedes and follows:
            lasts[after - 1] = lasts[after]
            del begins[after], lasts[after]
        elif precedes:
            begins[after] = number
        elif follows:
            lasts[after - 1] = number
        else:
            begins.insert(after, number)
            lasts.insert(after, number)
            self._bound()
        return True

    def _bound(self) -> None:
        if len(self._begins) >= self._ranges:
            several = self._ranges // 8  # not one by one: what stays is moved each time
            self.mark = self._lasts[several - 1] + 1
            del self._begins[:several], self._lasts[:several]
