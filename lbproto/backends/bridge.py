"""Libraries that know asyncio alone, under any event loop.

Under asyncio what they do runs in the caller's task, at no cost. Under trio it runs in an event
loop of asyncio's in a thread, one for each `Bridge`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, suppress
from types import TracebackType
from typing import Self, TypeVar, TypeVarTuple

import anyio
from anyio import to_thread
from anyio.from_thread import BlockingPortal, start_blocking_portal

from lbproto.errors import UsageError
from lbproto.tasks import is_asyncio

__all__ = ["Bridge", "Bridged"]

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


class Bridge:
    """Runs coroutines of asyncio's. An async context manager, entered before it is asked to."""

    def __init__(self) -> None:
        self._thread: AbstractContextManager[BlockingPortal] | None = None
        self._portal: BlockingPortal | None = None

    async def __aenter__(self) -> Self:
        if not is_asyncio():
            self._thread = start_blocking_portal("asyncio")
            self._portal = await to_thread.run_sync(self._thread.__enter__)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        thread, self._thread, self._portal = self._thread, None, None
        if thread is not None:
            with anyio.CancelScope(shield=True):  # a thread is not left behind
                await to_thread.run_sync(thread.__exit__, None, None, None)

    async def call(
        self, function: Callable[[*Arguments], Awaitable[T]], *arguments: *Arguments
    ) -> T:
        """Await `function(*arguments)` under asyncio.

        Cancelled, it cancels that too; under trio without waiting for it to end.

        Raises:
            UsageError: it is not entered.
        """
        if self._portal is not None:
            return await _result(self._portal.start_task_soon(function, *arguments))
        if not is_asyncio():
            raise UsageError("Enter it (`async with`) before it is used")
        return await function(*arguments)


class Bridged(ABC):
    """A client of a server whose library knows asyncio alone; an async context manager.

    It is opened when it is entered, and closed when it is left or cannot be opened, whoever is
    cancelled meanwhile. Both run under asyncio, as does whatever else is given to `_call`.
    """

    def __init__(self) -> None:
        self._bridge = Bridge()
        self._call = self._bridge.call

    @abstractmethod
    async def _open(self) -> None:
        """Connect; what it raises comes out of entering."""

    @abstractmethod
    async def _close(self) -> None:
        """Give up what is open, also where that is not all."""

    async def __aenter__(self) -> Self:
        await self._bridge.__aenter__()
        try:
            await self._call(self._open)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with anyio.CancelScope(shield=True):
            await self._call(self._close)
            await self._bridge.__aexit__(kind, error, trace)


async def _result(future: Future[T]) -> T:
    """What another thread makes, without a thread that waits for it."""
    import trio

    loop = trio.lowlevel.current_trio_token()
    done = trio.Event()

    def wake(_: Future[T]) -> None:
        with suppress(trio.RunFinishedError):
            loop.run_sync_soon(done.set)

    future.add_done_callback(wake)
    try:
        await done.wait()
    except trio.Cancelled:
        future.cancel()
        raise
    return future.result()
