"""Tasks: those that live as long as a block of code, and which event loop runs this one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.abc import TaskGroup

__all__ = ["StartSoon", "background_tasks", "is_asyncio"]

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


def is_asyncio() -> bool:
    """Whether this is a task of asyncio, and so not one of trio; also where trio is its guest."""
    try:
        return asyncio.current_task() is not None
    except RuntimeError:
        return False
