"""Time that moves only when a test says so. Shared by tests/core and tests/wire."""

from __future__ import annotations

import asyncio
from heapq import heapify, heappush
from itertools import count

import anyio
import trio.testing
from anyio.lowlevel import checkpoint

__all__ = ["START", "FakeClock", "settle"]

START = 1_768_910_400.0
"""Wall time when a fake clock starts: 2026-01-20T12:00:00Z."""

_TURNS = 10_000


async def settle() -> None:
    """Wait until every other task waits: all has happened that can without time passing.

    Raises:
        AssertionError: some task never waits (on asyncio; under trio this waits for ever).
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        await trio.testing.wait_all_tasks_blocked()
        return
    quiet = 0
    for _ in range(_TURNS):
        await checkpoint()
        quiet = quiet + 1 if all(map(_waits, asyncio.all_tasks())) else 0
        if quiet == 2:  # what ends a task runs a turn later, and may make another ready
            return
    raise AssertionError(f"some task still runs after {_TURNS} turns of the event loop")


def _waits(task: asyncio.Task[object]) -> bool:
    if task is asyncio.current_task():
        return True
    waiter: asyncio.Future[object] | None = getattr(task, "_fut_waiter", None)
    return waiter is not None and not waiter.done()


class FakeClock:
    """The clock port (`lbproto.clock.Clock`), moved by `advance` and `jump`.

    Args:
        monotonic: what it shows at first.
    """

    def __init__(self, monotonic: float = 1_000.0) -> None:
        self._monotonic = monotonic
        self._epoch = START - monotonic
        self._sleepers: list[tuple[float, int, anyio.Event]] = []
        self._order = count()

    @property
    def sleepers(self) -> int:
        """How many tasks are asleep."""
        return len(self._sleepers)

    def now(self) -> float:
        return self._epoch + self._monotonic

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await checkpoint()
            return
        sleeper = (self._monotonic + seconds, next(self._order), anyio.Event())
        heappush(self._sleepers, sleeper)
        try:
            await sleeper[2].wait()
        finally:
            self._sleepers.remove(sleeper)
            heapify(self._sleepers)

    async def advance(self, seconds: float) -> None:
        """Let time pass, stopping wherever somebody's sleep ends; settles before and after."""
        end = self._monotonic + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            when, _, woken = self._sleepers[0]
            self._monotonic = max(self._monotonic, when)
            woken.set()
            await settle()
        self._monotonic = end
        await settle()

    def jump(self, seconds: float) -> None:
        """Let time pass without anybody noticing yet, as when the event loop is held up."""
        self._monotonic += seconds
