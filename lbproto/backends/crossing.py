"""A bounded queue from one event loop to another, or within one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Generic, TypeVar

from anyio.lowlevel import current_token

from lbproto.scheduling.wakeup import Wakeup

__all__ = ["CallSoon", "Crossing", "entrance"]

T = TypeVar("T")

CallSoon = Callable[[Callable[[], object]], object]
"""Has an event loop call something in its next turn."""


def entrance(*, apart: bool) -> CallSoon:
    """The way into the event loop that runs this.

    Args:
        apart: whether it is taken from other threads.
    """
    loop: Any = current_token().native_token  # of asyncio or of trio
    enter: CallSoon
    if not hasattr(loop, "call_soon"):
        enter = loop.run_sync_soon
    else:
        enter = loop.call_soon_threadsafe if apart else loop.call_soon
    return enter


class Crossing(Generic[T]):
    """Items on their way to one task, from a single other thread or from its own.

    Those of one turn of the event loop arrive together. An item counts until it is released, which
    whoever takes it does once it is done with. Each of the two sides writes what the other only
    reads, so that there are no locks.

    Args:
        max_items: how many may be on their way.
        max_bytes: how many bytes.
    """

    def __init__(self, max_items: int, max_bytes: int) -> None:
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._later: CallSoon | None = None
        self._begin()

    def _begin(self) -> None:
        self._leaving: list[tuple[T, int]] = []
        self._arrived: deque[tuple[T, int]] = deque()
        self._wakeup = Wakeup()
        self._wake: Callable[[], object] = self._wakeup.set
        self._put = self._put_bytes = self._released = self._released_bytes = 0

    def open(self, later: CallSoon, enter: CallSoon | None) -> None:
        """Begin anew, empty.

        Args:
            later: has the event loop of those who put something call back in its next turn.
            enter: the way into that of the task that takes, where it is another.
        """
        self._begin()
        if enter is not None:
            self._wake = partial(enter, self._wakeup.set)
        self._later = later

    def close(self) -> None:
        """Refuse further items."""
        self._later = None

    @property
    def is_open(self) -> bool:
        """Whether anything is let in."""
        return self._later is not None

    @property
    def count(self) -> int:
        """The number of items not released yet."""
        return self._put - self._released

    @property
    def size(self) -> int:
        """How many bytes these have."""
        return self._put_bytes - self._released_bytes

    def put(self, item: T, size: int) -> bool:
        """Send an item on its way.

        Returns:
            Whether there was room for it, and it is let in.
        """
        if (
            self._later is None
            or self.count >= self._max_items
            or self.size + size > self._max_bytes
        ):
            return False
        self._put += 1
        self._put_bytes += size
        if not self._leaving:
            self._later(self._leave)
        self._leaving.append((item, size))
        return True

    def _leave(self) -> None:
        """The turn is over."""
        leaving, self._leaving = self._leaving, []
        self._arrived.extend(leaving)
        self._wake()

    async def take(self, max_bytes: int) -> list[T]:
        """What is there, in order; waits until there is something.

        Args:
            max_bytes: take no more once there are as many.
        """
        while not self._arrived:
            await self._wakeup.wait()
        taken: list[T] = []
        size = 0
        while self._arrived and size < max_bytes:
            item, bytes_ = self._arrived.popleft()
            taken.append(item)
            size += bytes_
        return taken

    def release(self, count: int, size: int) -> None:
        """So many items, of so many bytes, are done with."""
        self._released += count
        self._released_bytes += size
