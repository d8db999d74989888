"""Tasks: how long they live, how many do something at a time, and which event loop runs them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.abc import TaskGroup

from lbproto.errors import Overloaded

__all__ = ["Queue", "StartSoon", "Starter", "background_tasks", "is_asyncio"]

StartSoon = Callable[[Callable[[], Coroutine[Any, Any, None]]], object]
"""Starts a task that outlives the caller."""


@asynccontextmanager
async def background_tasks() -> AsyncIterator[TaskGroup]:
    """A task group whose tasks are cancelled when the body ends.

    What the body raises comes out as it is, not in an exception group: a plugin that cannot start
    says why in one line. What a task raises comes out in a group, as from any task group.
    """
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        try:
            yield tasks
        except Exception as error:  # noqa: BLE001 - raised again below, outside the group
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


class Queue:
    """Limits how much work runs at a time, so that what runs is done in time.

    Args:
        at_a_time: the number of pieces of work.
        patience: seconds that the rest waits for its turn at most.
    """

    def __init__(self, at_a_time: int, patience: float) -> None:
        self._places = anyio.Semaphore(at_a_time)
        self._patience = patience

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Work inside the `async with`.

        Raises:
            Overloaded: it has waited for too long.
        """
        try:
            with anyio.fail_after(self._patience):
                await self._places.acquire()
        except TimeoutError:
            raise Overloaded(
                "Too many clients connect at once: come back soon", retry_after=1
            ) from None
        try:
            yield
        finally:
            self._places.release()


class Starter:
    """Starts tasks of a group, also from a callback of the event loop, which is not a task itself.

    Args:
        tasks: the group; `run` is to be one of its tasks.
    """

    def __init__(self, tasks: TaskGroup) -> None:
        self._tasks = tasks
        self._waiting: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._wake = anyio.Event()

    def start_soon(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start a task."""
        if _is_task():
            self._tasks.start_soon(work)
        else:
            self._waiting.append(work)
            self._wake.set()

    async def run(self) -> None:
        """Start what could not be started at once, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake = anyio.Event()
            waiting, self._waiting = self._waiting, []
            for work in waiting:
                self._tasks.start_soon(work)


def _is_task() -> bool:
    """Whether a task runs this; with trio, everything is run by one."""
    try:
        return asyncio.current_task() is not None
    except RuntimeError:
        return True


def is_asyncio() -> bool:
    """Whether this is a task of asyncio, and so not one of trio; also where trio is its guest."""
    try:
        return asyncio.current_task() is not None
    except RuntimeError:
        return False
