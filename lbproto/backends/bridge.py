"""Runs asyncio-only libraries under any event loop.

Under asyncio what they do runs in the caller's task, at no cost. Under trio it runs in an event
loop of asyncio's in a thread, one for each `Bridge`; under asyncio too, if that is asked for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, suppress
from typing import Any, Self, TypeVar, TypeVarTuple

import anyio
from anyio import to_thread
from anyio.from_thread import BlockingPortal, start_blocking_portal
from anyio.lowlevel import current_token

from lbproto.errors import UsageError
from lbproto.scheduling.tasks import is_asyncio

__all__ = ["Bridge", "Bridged"]

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


class Bridge:
    """Runs coroutines of asyncio's. An async context manager, entered before it is asked to.

    Args:
        apart: in a thread under asyncio, too: for a library that holds up the loop that it runs in,
            or leaves tasks behind.
    """

    def __init__(self, *, apart: bool = False) -> None:
        self._apart = apart
        self._thread: AbstractContextManager[BlockingPortal] | None = None
        self._portal: BlockingPortal | None = None

    async def __aenter__(self) -> Self:
        if self._apart or not is_asyncio():
            self._thread = start_blocking_portal("asyncio")
            self._portal = await to_thread.run_sync(self._thread.__enter__)
        return self

    async def __aexit__(self, *error: object) -> None:
        thread, self._thread, self._portal = self._thread, None, None
        if thread is not None:
            with anyio.CancelScope(shield=True):  # a thread is not left behind
                await to_thread.run_sync(thread.__exit__, None, None, None)

    async def call(
        self, function: Callable[[*Arguments], Awaitable[T]], *arguments: *Arguments
    ) -> T:
        """Await `function(*arguments)` under asyncio.

        Cancelled, it cancels that too; in a thread, without waiting for it to end.

        Raises:
            UsageError: it is not entered.
            concurrent.futures.CancelledError: in a thread, somebody else has cancelled it.
        """
        if self._portal is not None:
            return await _result(self._portal.start_task_soon(function, *arguments))
        if self._apart or not is_asyncio():
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

    async def __aexit__(self, *error: object) -> None:
        with anyio.CancelScope(shield=True):
            await self._call(self._close)
            await self._bridge.__aexit__(*error)


async def _result(future: Future[T]) -> T:
    """What another thread makes, without a thread that waits for it."""
    loop: Any = current_token().native_token  # of asyncio or of trio
    call_soon = getattr(loop, "call_soon_threadsafe", None) or loop.run_sync_soon
    done = anyio.Event()

    def wake(_: Future[T]) -> None:
        with suppress(RuntimeError):  # the loop has ended, and whoever waited
            call_soon(done.set)

    future.add_done_callback(wake)
    try:
        await done.wait()
    except anyio.get_cancelled_exc_class():
        future.cancel()
        raise
    return future.result()
