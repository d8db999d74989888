"""An event that one task waits for repeatedly.

An `anyio.Event` is set once, so that a task that waits in every turn of the event loop would make
one each time; under asyncio that takes longer than many a turn's work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lbproto.scheduling.tasks import is_asyncio

__all__ = ["Wakeup"]


class Wakeup:
    """Wakes one task at a time, under asyncio and trio."""

    __slots__ = ("_is_set", "_resume")

    def __init__(self) -> None:
        self._is_set = False
        self._resume: Callable[[], None] | None = None

    def set(self) -> None:
        """Have the task that waits go on, or else the next one not wait."""
        self._is_set = True
        if self._resume is not None:
            resume, self._resume = self._resume, None
            resume()

    def clear(self) -> None:
        """Forget that it was set."""
        self._is_set = False

    async def wait(self) -> None:
        """Wait until it is set since the last time; no checkpoint where it is already."""
        if not self._is_set:
            try:
                await (self._in_asyncio() if is_asyncio() else self._in_trio())
            finally:
                self._resume = None
        self._is_set = False

    async def _in_asyncio(self) -> None:
        future = asyncio.get_running_loop().create_future()

        def resume() -> None:
            if not future.done():  # it is, where the task has just been cancelled
                future.set_result(None)

        self._resume = resume
        await future

    async def _in_trio(self) -> None:
        from trio import lowlevel

        task = lowlevel.current_task()

        def resume() -> None:
            lowlevel.reschedule(task)

        def abort(_: object) -> lowlevel.Abort:
            self._resume = None  # at once: a task that goes on already must not be told to again
            return lowlevel.Abort.SUCCEEDED

        self._resume = resume
        await lowlevel.wait_task_rescheduled(abort)
