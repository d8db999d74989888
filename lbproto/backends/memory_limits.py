"""Request counts within one process: for tests, and as the port's reference."""

from __future__ import annotations

from collections.abc import Sequence
from operator import add

from lbproto.backends.base import LimitStore
from lbproto.clock import Clock, SystemClock

__all__ = ["MemoryLimits"]

_SECOND = 1_000_000_000  # nanoseconds


class MemoryLimits(LimitStore):
    """Counts in a dictionary; several servers of one process that share it count together.

    Args:
        clock: what they are counted by.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._users: dict[str, dict[int, tuple[int, int]]] = {}  # by length: until, interval
        self._sweep_at = 1024

    async def take(
        self, user_id: str, windows: Sequence[tuple[int, int, int]], weight: int
    ) -> tuple[bool, Sequence[int]]:
        now = round(self._clock.monotonic() * _SECOND)
        return self.take_nowait(user_id, windows, weight, now)

    def take_nowait(
        self, user_id: str, windows: Sequence[tuple[int, int, int]], weight: int, now: int
    ) -> tuple[bool, list[int]]:
        """As `take`, by another clock, which shows `now`; in nanoseconds."""
        used = self._users.get(user_id)
        if used is None:
            self._sweep(now)
            used = self._users[user_id] = {}
        ahead: list[int] = []
        for length, interval, _ in windows:
            until, before = used.get(length, (now, interval))
            ahead.append(-(-max(until - now, 0) * interval // before))  # rounded up
        steps = [interval * weight for _, interval, _ in windows]
        moved = list(map(add, ahead, steps))
        taken = all(each <= reach for each, (_, _, reach) in zip(moved, windows, strict=True))
        if taken:
            ahead = moved
        for each, (length, interval, _) in zip(ahead, windows, strict=True):
            used[length] = now + each, interval
        return taken, ahead

    def _sweep(self, now: int) -> None:
        """Drop whoever has paid for all whenever there are twice as many: amortised O(1) a user."""
        if len(self._users) < self._sweep_at:
            return
        self._users = {
            user_id: used
            for user_id, used in self._users.items()
            if any(until > now for until, _ in used.values())
        }
        self._sweep_at = max(1024, 2 * len(self._users))
