"""A file of SQLite, used from an event loop: durable, for one machine; the standard library's.

Theory of operation. One thread has the file. It is given whatever waits, has all of it done in one
transaction, and answers when that is on the disk. While the disk is waited for, more queues up: a
disk that takes 5 ms for a commit does not limit it to 200 commands a second: the busier it is,
the less a command costs. Between the thread and the event loop there is one call a transaction, in
each direction; those who are answered have asked again by the time of the next.

Several processes may have the file open: whoever writes has it to itself for a transaction, the
others wait. It has to be on a disk of the machine: SQLite's locks are not to be trusted on a
network's.

A caller who is cancelled has stopped waiting, and no more: the command is committed.
"""

from __future__ import annotations

import asyncio
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from typing import Any, ClassVar, Self, TypeVar

import anyio

from lbproto.backends.sqlite_calls import Call, Done, Tables
from lbproto.backends.sqlite_writer import Writer
from lbproto.errors import Overloaded, UsageError

__all__ = ["SQLiteFile"]

T = TypeVar("T")

_CallSoon = Callable[[Callable[[], None]], object]


class SQLiteFile(ABC):
    """A SQLite file. All calls are made from the event loop that it was entered in.

    Args:
        path: the file.
        waiting: how many calls may wait at once; more are refused with `Overloaded`.
        batch: how many commands are committed together at most.
        timeout: for how long another process is waited for, in seconds.
    """

    _kind: ClassVar[str]
    """What it is called in messages."""
    _logger: ClassVar[logging.Logger]
    _new_done: Callable[[], Done]  # of the event loop that it was entered in

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        waiting: int = 10_000,
        batch: int = 1_000,
        timeout: float = 5.0,
    ) -> None:
        self._path = os.fspath(path)
        self._most = waiting
        self._batch = batch
        self._timeout = timeout
        self._waiting = 0
        self._writer: Writer | None = None

    @abstractmethod
    def _open(self) -> Tables:
        """Open the file, in its thread; what it raises comes out of entering."""

    async def __aenter__(self) -> Self:
        call_soon, self._new_done = _event_loop()
        title = (self._kind, self._path)
        writer = Writer(title, self._open, self._batch, call_soon, self._answer, self._logger)
        opening = Call[None]()
        writer.start(opening)
        try:
            await self._wait(opening)
        except BaseException:  # asyncio's own way to cancel knows no shield
            writer.stop(Call())
            raise
        opening.result()
        self._writer = writer
        return self

    async def __aexit__(self, *error: object) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            closing = Call[None]()
            writer.stop(closing)
            await self._wait(closing)

    async def _wait(self, call: Call[None]) -> None:
        """Wait for the thread to begin or to end, also when cancelled: none is left behind."""
        self._waiting += 1
        call.done = done = self._new_done()
        with anyio.CancelScope(shield=True):
            await done

    async def _ask(self, call: Call[T]) -> T:
        if self._writer is None:
            raise UsageError(f"The {self._kind} is not open: use it inside `async with`")
        if self._waiting >= self._most:
            raise Overloaded(f"Too many wait for the {self._kind}; try again", retry_after=1)
        self._waiting += 1
        call.done = done = self._new_done()
        self._writer.put(call)
        await done
        return call.result()

    def _answer(self, calls: Sequence[Call[Any]]) -> None:
        """Wake those who wait; in the event loop."""
        self._waiting -= len(calls)
        for call in calls:
            if (done := call.done) is not None and not done.done():
                done.set_result(None)


def _event_loop() -> tuple[_CallSoon, Callable[[], Done]]:
    """What has this event loop call something, from any thread; what a task of it waits by."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        from trio.lowlevel import current_trio_token

        return current_trio_token().run_sync_soon, _Event
    # Not an `anyio.Event`: waiting by that takes twice the time, and every command is waited for.
    return loop.call_soon_threadsafe, loop.create_future


class _Event:
    """What a task of trio waits by, as one of asyncio does by a future."""

    def __init__(self) -> None:
        self._event = anyio.Event()
        self.done = self._event.is_set

    def __await__(self) -> Generator[Any, Any, None]:
        return self._event.wait().__await__()

    def set_result(self, result: None, /) -> None:  # noqa: ARG002 - there is none
        self._event.set()
