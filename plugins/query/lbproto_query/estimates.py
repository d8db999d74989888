"""How long a query may take: as long as its like took before."""

from __future__ import annotations

import re
from collections import OrderedDict
from hashlib import sha256

__all__ = ["History"]

_LITERAL = re.compile(r"'(?:[^']|'')*'|\b\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\b")
_WEIGHT = 0.3  # of the newest


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
        """Remember how long a query took; the one not asked about for longest is forgotten."""
        key = _key(application_id, sql)
        before = self._seconds.pop(key, seconds)
        self._seconds[key] = before + _WEIGHT * (seconds - before)
        if len(self._seconds) > self._most:
            self._seconds.popitem(last=False)


def _key(application_id: str, sql: str) -> bytes:
    text = " ".join(_LITERAL.sub("?", sql).lower().split())
    return sha256(f"{application_id}\0{text}".encode()).digest()
