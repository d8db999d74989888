"""Time that moves only when a test says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from heapq import heapify, heappush
from itertools import count

import anyio
from anyio import to_thread
from anyio.lowlevel import checkpoint

__all__ = ["START", "VirtualClock", "settle"]

START = 1_768_910_400.0
"""Wall time when a `VirtualClock` starts: 2026-01-20T12:00:00Z, in seconds since the Unix epoch."""

_TURNS = 10_000


async def settle() -> None:
    """Wait until all has happened that can without time passing.

    That is: every other task waits, and no worker thread (`anyio.to_thread`) is busy.

    Raises:
        AssertionError: some task never waits (on asyncio; under trio this waits for ever).
    """
    while True:
        await _tasks_wait()
        if not to_thread.current_default_thread_limiter().borrowed_tokens:
            return
        await checkpoint()


async def _tasks_wait() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        import trio.testing

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


class VirtualClock:
    """The clock port (`lbproto.Clock`), moved by whoever holds it.

    Args:
        monotonic: what it shows at first, in seconds.
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
        await self.advance_until(lambda: False, seconds)

    async def advance_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Let time pass until a condition holds, in steps from one sleeper's end to the next.

        Args:
            condition: asked whenever everything has settled, first before any time passes.
            seconds: the most that passes.

        Returns:
            Whether it holds.
        """
        end = self._monotonic + seconds
        await settle()
        while not condition():
            if not self._sleepers or self._sleepers[0][0] > end:
                self._monotonic = end
                await settle()
                return condition()
            when, _, woken = self._sleepers[0]
            self._monotonic = max(self._monotonic, when)
            woken.set()
            await settle()
        return True

    def jump(self, seconds: float) -> None:
        """Let time pass without anybody noticing yet, as when the event loop is held up."""
        self._monotonic += seconds

    def set_wall(self, now: float) -> None:
        """Set the wall clock, as an administrator does; `monotonic` does not move.

        Args:
            now: seconds since the Unix epoch.
        """
        self._epoch = now - self._monotonic
