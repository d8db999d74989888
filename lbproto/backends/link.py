"""A connection to a broker of whatever kind, as pub/sub sees it; and tasks that end together."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Coroutine, Iterable
from contextlib import suppress
from typing import Any

__all__ = ["Confirm", "Deliver", "Link", "end", "finish", "until_first"]

Deliver = Callable[[str, bytes], None]
"""Takes what has come: by which name, and what."""

Confirm = Callable[[str], None]
"""Takes the name of what is subscribed to from now on."""


class Link(ABC):
    """A connection to a broker, under asyncio. Whatever a method raises is the end of it.

    What it subscribes to has a name: that of a channel, or of what a node sends to itself.
    """

    @abstractmethod
    async def change(self, added: Collection[str], removed: Collection[str]) -> None:
        """Ask for names, and for others no longer; one call at a time, in order."""

    @abstractmethod
    async def receive(self, deliver: Deliver, confirm: Confirm) -> None:
        """Call with what comes, and with each name that was asked for; until cancelled."""

    @abstractmethod
    async def close(self) -> None:
        """Give it up; raises nothing."""


async def until_first(*works: Coroutine[Any, Any, None]) -> None:
    """Run them all until the first one ends; raises what that one does."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(tasks)
    for task in done:
        task.result()


async def end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks, until all have ended."""
    running = set(tasks)
    while running:  # one that is just connecting does not always notice that it is cancelled
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=0.1)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # of the others it is not told


async def finish(work: Coroutine[Any, Any, None]) -> None:
    """Run it to its end, whoever cancels meanwhile: that is forgotten, and has to be repeated."""
    task = asyncio.create_task(work)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([task])
    task.result()
