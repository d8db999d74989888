"""State shared by all connections of a running server."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial
from secrets import SystemRandom
from typing import Any

import anyio

from lbproto.clock import Clock, SystemClock
from lbproto.connection.base import Connection
from lbproto.connection.engineio import EngineConnection
from lbproto.connection.waits import Waits
from lbproto.connection.worker import Worker
from lbproto.delivery.turn import Turn
from lbproto.delivery.writer import Writer
from lbproto.errors import UsageError
from lbproto.operations.statistics import OutboxStatistics
from lbproto.scheduling.drain import batches
from lbproto.scheduling.tasks import Starter, background_tasks
from lbproto.scheduling.timers import Timers
from lbproto.transport import CloseCode
from lbproto.wire.port import Socket
from lbproto.wire.settings import Settings

__all__ = ["Runtime"]

logger = logging.getLogger(__name__)

_NOT_RUNNING = (
    "this lbproto server is not running. A mounted app's lifespan is never run by its host: "
    "pass lifespan=server.lifespan to the host app, or serve server.asgi(fallback=host_app)"
)
_FLUSH_SECONDS = 2.0
_RESTART = (CloseCode.SERVICE_RESTART, "the server is stopping")

Tell = Callable[[Socket, int], None]
"""Tells a socket's client a number."""


Mark = Callable[[Any], None]
"""Has a connection served by a relay."""


def _admits(socket: Socket) -> bool:  # noqa: ARG001 - for programs without limits
    return True


def _not_running(connection: Connection) -> None:  # noqa: ARG001 - the signature of a mark
    raise UsageError(_NOT_RUNNING)


def _nothing_to_say(socket: Socket) -> None:
    """For programs whose clients need no last word."""


def _tell_nobody(socket: Socket, number: int) -> None:
    """For programs whose clients have no word for it."""


class Runtime:
    """The worker, the writer, the timers and the open connections of one server.

    Args:
        settings: bounds and times.
        clock: where time comes from.

    Attributes:
        turn: what is sent to many at once.
        waits: the requests that are being waited for.
        connections: every open connection.
        engines: the Engine.IO sessions by their ids.
        accepting: whether new connections are let in.
        polling: whether they may poll.
        work_for: has the server's worker take what a connection has been delivered.
        write_for: has its writer send what a connection has queued. Both raise `UsageError` where
            the server does not run.
        dropped: called with a socket that takes frames again after some were dropped, and how many.
        admits_malformed: called with a socket whose client has sent what cannot be read: counts
            that, and says whether the client is to be told so.
        closing: called with a socket whose connection is about to be closed, for last words.
        times_arrivals: whether requests are told when they came; set before it runs.
        past: what became of the frames of connections that are over.
        slow_consumers: connections that were closed because they were too slow.
        unauthorized: clients that were refused for good.
        unavailable: clients that were sent away, and may come back.
    """

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.timers = Timers(self.clock)
        self.waits = Waits(self.clock, self.timers)
        self.turn = Turn(self.clock.monotonic)
        self.connections: set[Connection] = set()
        self.engines: dict[str, EngineConnection] = {}
        self.accepting = False
        self.polling = settings.polling
        self.dropped: Tell = _tell_nobody
        self.admits_malformed: Callable[[Socket], bool] = _admits
        self.closing: Callable[[Socket], None] = _nothing_to_say
        self.times_arrivals = False
        self.past = OutboxStatistics()
        self.slow_consumers = self.unauthorized = self.unavailable = 0
        self._tasks: Starter | None = None
        self.work_for: Mark = _not_running
        self.write_for: Mark = _not_running

    def start_soon(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start a task that lives no longer than the server; if it fails, only that is logged.

        Raises:
            UsageError: the server does not run.
        """
        if self._tasks is None:
            raise UsageError(_NOT_RUNNING)
        self._tasks.start_soon(partial(_guarded, work))

    @property
    def running(self) -> bool:
        """Whether the server runs: from its start to its end, also while it is drained."""
        return self._tasks is not None

    def check_running(self) -> None:
        """Raises `UsageError`, saying how to mend it, unless the server runs."""
        if self._tasks is None:
            raise UsageError(_NOT_RUNNING)

    def outbox_statistics(self) -> OutboxStatistics:
        """Every outbox, those of connections that are over too."""
        return sum((each.statistics() for each in self.connections), self.past)

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Run the server inside the `async with`; on leaving it, connections are closed.

        Raises:
            UsageError: it runs already.
        """
        if self._tasks is not None:
            raise UsageError("this lbproto server runs already: start it once per process")
        async with background_tasks() as tasks:
            self._tasks = Starter(tasks)
            tasks.start_soon(self._tasks.run)
            # Not by our own `start_soon`: the end of one of these is the end of everything.
            worker = Worker(tasks.start_soon)
            writer = Writer(tasks.start_soon, self.turn, self.clock)
            tasks.start_soon(worker.run)
            tasks.start_soon(writer.run)
            tasks.start_soon(writer.keep_pace)
            self.work_for, self.write_for = worker.mark, writer.mark
            if self.times_arrivals:
                self.work_for = partial(self._wake, worker.mark)
            tasks.start_soon(self.timers.run)
            self.accepting = True
            try:
                yield
            finally:
                try:
                    await self.drain(0)  # not where we are cancelled: the writer is too
                finally:
                    self._lose_all()
                    self._tasks = None
                    self.work_for = self.write_for = _not_running

    def _wake(self, mark: Mark, connection: Connection) -> None:
        connection.woken = self.clock.monotonic()
        mark(connection)

    async def drain(self, seconds: float, tell: Tell | None = None) -> None:
        """Take no new connections, and close those there are, spread over `seconds`.

        Each is closed once it has answered the requests it has taken, and its outbox has run dry.
        Whatever is left at the end is closed all the same, and cut off two seconds later. Called
        again, it waits too; if its own time is up first, it is the end for all.

        Args:
            tell: called at once for every socket there is, with the seconds until it will have
                been closed.
        """
        start = self.clock.monotonic()
        if self.accepting:
            self.accepting = False
            for batch in batches(self.connections, seconds, SystemRandom()):
                if tell is not None:
                    for connection in batch.members:
                        for socket in connection.sockets:
                            tell(socket, batch.retry_after)
                self.timers.call_at(
                    start + batch.after, partial(self._close_when_idle, batch.members)
                )
        await self._wait_closed(start + seconds)
        for connection in list(self.connections):
            self._say_last(connection)
            connection.close(*_RESTART)
        await self._wait_closed(self.clock.monotonic() + _FLUSH_SECONDS)
        self._lose_all()

    def _close_when_idle(self, connections: Sequence[Connection]) -> None:
        for connection in connections:
            self._say_last(connection)
            connection.close_when_idle(*_RESTART)

    def _say_last(self, connection: Connection) -> None:
        for socket in connection.sockets:
            self.closing(socket)

    async def _wait_closed(self, deadline: float) -> None:
        with anyio.CancelScope() as scope, self.timers.deadline(deadline, scope.cancel):
            for connection in list(self.connections):
                await connection.wait_closed()

    def _lose_all(self) -> None:
        for connection in list(self.connections):
            connection.lost("server shutting down")


async def _guarded(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """One connection's fault is not the server's end."""
    try:
        await work()
    except Exception:
        logger.exception("a task of a connection failed")
