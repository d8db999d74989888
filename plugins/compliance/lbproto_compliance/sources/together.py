"""Requests at the same time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import anyio

from lbproto_compliance.sources.batches import SourceError

__all__ = ["together"]

T = TypeVar("T")


async def together(calls: Iterable[Callable[[], Awaitable[T]]]) -> list[T]:
    """What comes of each call, in their order.

    Raises:
        SourceError: of the first call that fails, by itself and not in a group; the others are
            cancelled.
    """
    results: dict[int, T] = {}
    failures: list[SourceError] = []

    async def run(place: int, call: Callable[[], Awaitable[T]]) -> None:
        try:
            results[place] = await call()
        except SourceError as error:
            failures.append(error)
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for place, call in enumerate(calls):
            group.start_soon(run, place, call)
    if failures:
        raise failures[0]
    return [results[place] for place in sorted(results)]
