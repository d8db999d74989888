"""A bounded queue of events that wait to be read. Pure but for the wait."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from itertools import count
from typing import Generic, TypeVar

from lbproto.errors import UsageError
from lbproto.events import Event
from lbproto.overflow import Overflow, OverflowPolicy
from lbproto.scheduling.wakeup import Wakeup

__all__ = ["Inbox"]

E = TypeVar("E", bound=Event)


class Inbox(Generic[E]):
    """A queue with one reader.

    Args:
        max_events: how many may wait.
        max_bytes: their size.

    Raises:
        UsageError: nothing may.

    Attributes:
        dropped: how many were dropped for want of room.
    """

    def __init__(self, max_events: int, max_bytes: int) -> None:
        if max_events < 1 or max_bytes < 1:
            raise UsageError("max_events and max_bytes must be at least 1")
        self.dropped = 0
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._waiting: OrderedDict[Hashable, tuple[E, int]] = OrderedDict()
        self._size = 0
        self._numbers = count()
        self._wakeup = Wakeup()
        self._end: Callable[[], Exception] | None = None

    @property
    def full(self) -> bool:
        """Whether there is no room for more."""
        return len(self._waiting) >= self._max_events or self._size >= self._max_bytes

    @property
    def overfull(self) -> bool:
        """Whether there is twice as much as there is room for."""
        return len(self._waiting) >= 2 * self._max_events or self._size >= 2 * self._max_bytes

    @property
    def ended(self) -> bool:
        """Whether nothing more is taken."""
        return self._end is not None

    def put(self, event: E, size: int) -> None:
        """Add an event, whether or not there is room."""
        self._add(("number", next(self._numbers)), event, size)

    def put_by(self, policy: OverflowPolicy, event: E, size: int) -> bool:
        """Add an event; where there is no room, do what the policy says.

        Returns:
            False where it says that this is the end.
        """
        key = policy.key(event) if policy.key is not None else None
        if key is not None:
            self._remove(("key", key))
            name: Hashable = ("key", key)
        else:
            name = ("number", next(self._numbers))
        while self.full:
            if policy.overflow is not Overflow.DROP_OLDEST:
                return False
            self._remove(next(iter(self._waiting)))
            self.dropped += 1
        self._add(name, event, size)
        return True

    def end(self, why: Callable[[], Exception]) -> None:
        """Take nothing more; once all is read, whoever reads gets this error. The first counts."""
        if self._end is None:
            self._end = why
            self._wakeup.set()

    async def wait(self) -> None:
        """Wait until something can be taken.

        Raises:
            Exception: what it was ended with; nothing is left.
        """
        while not self._waiting:
            if self._end is not None:
                raise self._end()
            await self._wakeup.wait()

    def take(self) -> E:
        """The oldest event; there is one."""
        _, (event, size) = self._waiting.popitem(last=False)
        self._size -= size
        return event

    def _add(self, name: Hashable, event: E, size: int) -> None:
        if self._end is None:
            self._waiting[name] = event, size
            self._size += size
            self._wakeup.set()

    def _remove(self, name: Hashable) -> None:
        _, size = self._waiting.pop(name, (None, 0))
        self._size -= size
