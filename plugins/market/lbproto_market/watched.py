"""The rooms that somebody looks at, on any node: what is told to others nobody would hear."""

from __future__ import annotations

from collections import Counter

from lbproto import Clock

__all__ = ["Watched"]

_KEPT_SECONDS = 180.0
"""Seconds for which a room that nobody is in any more is told still: longer than a client that has
lost its connection, or its node, may take to go on with what it has missed."""

_MAX_KEPT = 10_000


class Watched:
    """Those rooms, as nodes tell it.

    Args:
        clock: measures how long nobody has been there.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._nodes: Counter[str] = Counter()
        self._until: dict[str, float] = {}

    def __contains__(self, room: str) -> bool:
        return room in self._nodes or self._until.get(room, 0.0) > self._clock.monotonic()

    def add(self, room: str) -> None:
        """Clients of one more node are in a room."""
        self._nodes[room] += 1

    def remove(self, room: str) -> None:
        """Those of one node are no more."""
        self.keep(room)
        self._nodes[room] -= 1
        if not self._nodes[room]:
            del self._nodes[room]

    def keep(self, room: str) -> None:
        """Somebody is about to enter a room, or has just left."""
        now = self._clock.monotonic()
        if len(self._until) >= _MAX_KEPT:
            self._until = {room: until for room, until in self._until.items() if until > now}
        self._until[room] = now + _KEPT_SECONDS
