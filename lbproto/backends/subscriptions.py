"""One node's subscriptions, and which of them the broker has not confirmed yet."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator

from lbproto.backends.link import Link
from lbproto.backends.parcels import Progress

__all__ = ["Subscriptions"]

_MAX_CHANGES = 1_000  # told to the broker at once


class Subscriptions:
    """The names that a node has subscribed to: for as long as it likes, whatever link there is."""

    def __init__(self) -> None:
        self._names: dict[str, Progress] = {}
        self._asked: dict[str, _Asked] = {}
        self.leave_link()

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._names))

    def leave_link(self) -> None:
        """There is no link: whoever waits for what it should confirm need not."""
        for asked in self._asked.values():
            asked.holds.set()
        self._asked.clear()
        self._linked = False
        self._changes: deque[tuple[str, bool]] = deque()
        self._changed = asyncio.Event()

    def begin_link(self) -> None:
        """There is one, which knows of none."""
        self._linked = True
        for name in self._names:
            self.ask(name)

    def progress(self, name: str) -> Progress | None:
        """How far its publishers have got; None where nothing is to be received by that name.

        Before a name is confirmed, what comes was published before.
        """
        return None if name in self._asked else self._names.get(name)

    async def add(self, name: str) -> None:
        """Subscribe; returns once that holds, or there is no link."""
        if name not in self._names:
            self._names[name] = Progress()
            self.ask(name)
        if name in self._asked:
            await self._asked[name].holds.wait()

    def remove(self, name: str) -> None:
        """Subscribe no longer; no error where it was not."""
        if self._names.pop(name, None) is not None:
            self._change(name, added=False)

    def ask(self, name: str) -> None:
        """Subscribe to a name for as long as this link lasts."""
        if self._linked:
            self._change(name, added=True)
            self._asked.setdefault(name, _Asked()).times += 1

    def _change(self, name: str, *, added: bool) -> None:
        if self._linked:
            self._changes.append((name, added))
            self._changed.set()

    def confirm(self, name: str) -> None:
        """A name is subscribed to: it holds if nobody has asked for it again since."""
        asked = self._asked.get(name)
        if asked is not None:
            asked.times -= 1
            if not asked.times:
                del self._asked[name]
                asked.holds.set()

    async def wait_confirmed(self, seconds: float) -> None:
        """Wait until all that have been asked for are.

        Raises:
            TimeoutError: one of them, however many they are, took so many seconds.
        """
        for asked in list(self._asked.values()):
            async with asyncio.timeout(seconds):
                await asked.holds.wait()

    async def send(self, link: Link) -> None:
        """Tell a link, of one change after the other."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._changes:
                added: dict[str, None] = {}
                removed: dict[str, None] = {}
                while self._changes and len(added) + len(removed) < _MAX_CHANGES:
                    name, is_added = self._changes[0]
                    if name in (removed if is_added else added):
                        break  # what comes later may not overtake it
                    (added if is_added else removed)[name] = None
                    self._changes.popleft()
                await link.change(added, removed)


class _Asked:
    """A name that was asked for, and is not confirmed yet as often."""

    __slots__ = ("holds", "times")

    def __init__(self) -> None:
        self.holds = asyncio.Event()
        self.times = 0
