"""What is handed from one event loop to another, or within one: in order, and bounded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from anyio.lowlevel import current_token

from lbproto.wakeup import Wakeup

__all__ = ["Crossing", "entrance"]

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

    An item counts until it is released, which whoever takes it does once it is done with. Each of
    the two sides writes what the other only reads, so that there are no locks.

    Args:
        max_items: how many may be on their way.
        max_bytes: how many bytes.
    """

    def __init__(self, max_items: int, max_bytes: int) -> None:
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._call_soon: CallSoon | None = None
        self._items: deque[tuple[T, int]] = deque()
        self._wakeup = Wakeup()
        self._called = False
        self._put = self._put_bytes = 0
        self._released = self._released_bytes = 0

    def open(self, call_soon: CallSoon) -> None:
        """Begin anew, empty.

        Args:
            call_soon: the way into the event loop of the task that takes.
        """
        self._items = deque()
        self._wakeup = Wakeup()
        self._called = False
        self._put = self._put_bytes = self._released = self._released_bytes = 0
        self._call_soon = call_soon

    def close(self) -> None:
        """Let nothing more in."""
        self._call_soon = None

    @property
    def is_open(self) -> bool:
        """Whether anything is let in."""
        return self._call_soon is not None

    @property
    def count(self) -> int:
        """How many items are not released."""
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
            self._call_soon is None
            or self.count >= self._max_items
            or self.size + size > self._max_bytes
        ):
            return False
        self._put += 1
        self._put_bytes += size
        self._items.append((item, size))
        if not self._called:  # looked at behind the append, as `take` clears it before it looks
            self._called = True
            self._call_soon(self._wakeup.set)
        return True

    async def take(self, max_bytes: int) -> list[T]:
        """What is there, in order; waits until there is something.

        Args:
            max_bytes: take no more once there are as many.
        """
        while not self._items:
            await self._wakeup.wait()
            self._called = False
        taken: list[T] = []
        size = 0
        while self._items and size < max_bytes:
            item, bytes_ = self._items.popleft()
            taken.append(item)
            size += bytes_
        return taken

    def release(self, count: int, size: int) -> None:
        """So many items, of so many bytes, are done with."""
        self._released += count
        self._released_bytes += size
