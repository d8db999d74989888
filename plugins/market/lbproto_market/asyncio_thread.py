"""An event loop of asyncio's in a thread of its own, for libraries that know nothing else.

Under trio they need one; under asyncio they get one as well, since they may hold up the loop that
they run in (by reading megabytes of JSON at once), and what they forget to catch ends up there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, suppress
from types import TracebackType
from typing import Any, Self, TypeVar, TypeVarTuple

import anyio
from anyio import to_thread
from anyio.from_thread import BlockingPortal, start_blocking_portal
from anyio.lowlevel import current_token

__all__ = ["AsyncioThread"]

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


class AsyncioThread:
    """The thread; an async context manager."""

    _thread: AbstractContextManager[BlockingPortal]
    _portal: BlockingPortal

    async def __aenter__(self) -> Self:
        self._thread = start_blocking_portal("asyncio", name="lbproto-market")
        self._portal = await to_thread.run_sync(self._thread.__enter__)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with anyio.CancelScope(shield=True):  # a thread is not left behind
            await to_thread.run_sync(self._thread.__exit__, None, None, None)

    async def call(
        self, function: Callable[[*Arguments], Awaitable[T]], *arguments: *Arguments
    ) -> T:
        """Await `function(*arguments)` there.

        Cancelled, it cancels that too, and does not wait for it to end.

        Raises:
            concurrent.futures.CancelledError: somebody else has cancelled it.
        """
        loop: Any = current_token().native_token
        wake = getattr(loop, "call_soon_threadsafe", None) or loop.run_sync_soon
        done = anyio.Event()

        def ended(_: Future[T]) -> None:
            with suppress(RuntimeError):  # nobody waits any more
                wake(done.set)

        future = self._portal.start_task_soon(function, *arguments)
        future.add_done_callback(ended)
        try:
            await done.wait()
        except anyio.get_cancelled_exc_class():
            future.cancel()
            raise
        return future.result()
