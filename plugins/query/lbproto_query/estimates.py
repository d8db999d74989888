"""How long a query may take: as long as its like took before, else what its plan lets expect."""

from __future__ import annotations

import re
from collections import OrderedDict
from hashlib import sha256

__all__ = ["History", "Pace"]

_LITERAL = re.compile(r"'[^']*(?:''[^']*)*'|\b\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\b")
_WEIGHT = 0.3  # of the newest

# What a pace is taken for before anything is known: a tenth of a second's worth of evidence, so
# that queries of a few rows, which tell nothing of it, do not make a million look like hours.
_ASSUMED_ROWS, _ASSUMED_SECONDS = 10_000_000.0, 0.1
_REMEMBERED = 60.0  # seconds of work, of which a half is forgotten when they are full


class History:
    """Durations by application and text, in which numbers, strings, case and space do not count."""

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._seconds: OrderedDict[bytes, float] = OrderedDict()

    def estimate(self, application_id: str, sql: str) -> int | None:
        """Milliseconds, or None if nothing like it has ended yet."""
        seconds = self._seconds.get(_key(application_id, sql))
        return None if seconds is None else round(seconds * 1000)

    def note(self, application_id: str, sql: str, seconds: float) -> None:
        """Remember how long a query took; the one noted longest ago is forgotten."""
        key = _key(application_id, sql)
        before = self._seconds.pop(key, seconds)
        self._seconds[key] = before + _WEIGHT * (seconds - before)
        if len(self._seconds) > self._most:
            self._seconds.popitem(last=False)


class Pace:
    """How fast an application's queries are: a time that each takes, and a time for each row.

    Rows are those of a plan's operators, as the optimiser estimates them: what it is wrong by on
    the whole is part of the pace, and so comes out right.
    """

    def __init__(self) -> None:
        self._least: float | None = None
        self._rows = _ASSUMED_ROWS
        self._seconds = _ASSUMED_SECONDS

    def estimate(self, rows: int) -> int | None:
        """Milliseconds that a plan of so many rows may take, or None if no query has ended yet."""
        if self._least is None:
            return None
        return round((self._least + rows * self._seconds / self._rows) * 1000)

    def note(self, rows: int, seconds: float) -> None:
        """Learn from a query that took so long; the longer ago one was, the less it counts."""
        self._least = seconds if self._least is None else min(self._least, seconds)
        self._rows += rows
        self._seconds += seconds - self._least
        if self._seconds > _REMEMBERED:
            self._rows /= 2
            self._seconds /= 2


def _key(application_id: str, sql: str) -> bytes:
    text = " ".join(_LITERAL.sub("?", sql).lower().split())
    return sha256(f"{application_id}\0{text}".encode()).digest()
