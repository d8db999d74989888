"""Accounts in a file: durable, for one machine; needs nothing but the standard library.

Theory of operation. One thread has the file. It is given whatever waits, has all of it done in one
transaction, and answers when that is on the disk. While the disk is waited for, more queues up: a
disk that takes 5 ms for a commit is no limit of 200 commands a second, and the busier it is, the
less a command costs. Between the thread and the event loop there is one call a transaction, in
each direction; those who are answered have asked again by the time of the next.

Several processes may have the file open: whoever writes has it to itself for a transaction, the
others wait. It has to be on a disk of the machine: SQLite's locks are not to be trusted on a
network's.

A caller who is cancelled has stopped waiting, and no more: the command is committed. Who wants to
know asks again, by the same transaction id.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Generator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import anyio

from lbproto.errors import Overloaded, UsageError
from lbproto.ledger.account import Account, Change, Movement, Outcome
from lbproto.ledger.sqlite_calls import Call, Command, Done, Reading
from lbproto.ledger.sqlite_writer import Writer
from lbproto.ledger.store import LedgerStore

__all__ = ["SQLiteLedger"]

T = TypeVar("T")

_CallSoon = Callable[[Callable[[], None]], object]


class SQLiteLedger(LedgerStore):
    """Accounts in a SQLite file.

    What is answered is on the disk: it survives the end of the process, of the operating system,
    and of the power, as far as the disk keeps its promises.

    Entering raises `UsageError` where the file cannot be opened, holds something else, or was
    written by a later version; one that is not there is made. Leaving answers everybody first. All
    calls are made from the event loop that it was entered in.

    Args:
        path: the file; two more beside it have its name with `-wal` and `-shm`.
        waiting: how many calls may wait at once; more are refused with `Overloaded`.
        batch: how many commands are committed together at most; none waits for more than these.
        timeout: for how long another process is waited for, in seconds.
    """

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

    async def __aenter__(self) -> Self:
        call_soon, self._new_done = _event_loop()
        writer = Writer(self._path, self._batch, self._timeout, call_soon, self._answer)
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

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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

    async def transact(
        self, account: Account, transaction_id: str, change: Change[T]
    ) -> Outcome[T]:
        return await self._ask(Command(account, transaction_id, change))

    async def movements(
        self, account: Account, before: int | None = None, limit: int = 100
    ) -> list[Movement]:
        return await self._ask(Reading(lambda tables: tables.movements(account, before, limit)))

    async def due(self, now: int, limit: int = 100) -> list[Account]:
        return await self._ask(Reading(lambda tables: tables.due(now, limit)))

    async def _ask(self, call: Call[T]) -> T:
        if self._writer is None:
            raise UsageError("The ledger is not open: use it inside `async with`")
        if self._waiting >= self._most:
            raise Overloaded("Too many wait for the credit store; try again", retry_after=1)
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
