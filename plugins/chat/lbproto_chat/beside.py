"""Work with something in the background."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import anyio

__all__ = ["beside"]

T = TypeVar("T")


async def beside(
    background: Callable[[anyio.CancelScope], Coroutine[Any, Any, None]],
    work: Callable[[], Awaitable[T]],
) -> T | None:
    """Do work while something else goes on, which is cancelled when the work has ended.

    Args:
        background: raises nothing; it may cancel the scope that it is given: that of the work.

    Returns:
        What the work does; None where it was cancelled by what is in the background.

    Raises:
        Exception: what the work does, as it is: a task group would wrap it.
    """
    result: T | None = None
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(background, tasks.cancel_scope)
        try:
            result = await work()
        except Exception as error:  # noqa: BLE001 - raised below
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return result
