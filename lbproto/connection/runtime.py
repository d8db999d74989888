"""What every connection of one server shares, for as long as the server runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from secrets import token_urlsafe
from typing import Any

import anyio
from anyio.abc import TaskGroup

from lbproto.clock import Clock, SystemClock
from lbproto.connection.base import Connection
from lbproto.connection.engine import EngineConnection
from lbproto.errors import UsageError
from lbproto.tasks import background_tasks
from lbproto.timers import Timers
from lbproto.transport import CloseCode
from lbproto.wire.settings import Settings
from lbproto.writer import Writer

__all__ = ["Runtime"]

_NOT_RUNNING = (
    "this lbproto server is not running. A mounted app's lifespan is never run by its host: "
    "pass lifespan=server.lifespan to the host app, or serve server.asgi(fallback=host_app)"
)
_DRAIN_SECONDS = 2.0


class Runtime:
    """The writer, the timers and the open connections of one server.

    Args:
        settings: bounds and times.
        clock: where time comes from.

    Attributes:
        connections: every open connection.
        engines: the Engine.IO sessions by their ids.
        accepting: whether new connections are let in.
    """

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.timers = Timers(self.clock)
        self.connections: set[Connection] = set()
        self.engines: dict[str, EngineConnection] = {}
        self.accepting = False
        self._tasks: TaskGroup | None = None
        self._writer: Writer | None = None

    @property
    def writer(self) -> Writer:
        """The writer of the running server.

        Raises:
            UsageError: the server does not run.
        """
        if self._writer is None:
            raise UsageError(_NOT_RUNNING)
        return self._writer

    def start_soon(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start a task that lives no longer than the server.

        Raises:
            UsageError: the server does not run.
        """
        if self._tasks is None:
            raise UsageError(_NOT_RUNNING)
        self._tasks.start_soon(work)

    def check_running(self) -> None:
        """Raises `UsageError`, saying how to mend it, unless the server runs."""
        if self._tasks is None:
            raise UsageError(_NOT_RUNNING)

    @staticmethod
    def new_id() -> str:
        """An id nobody can guess: 20 characters of URL-safe base64, 120 bits."""
        return token_urlsafe(15)

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Run the server inside the `async with`; on leaving it, connections are closed.

        Raises:
            UsageError: it runs already.
        """
        if self._tasks is not None:
            raise UsageError("this lbproto server runs already: start it once per process")
        async with background_tasks() as tasks:
            self._tasks = tasks
            self._writer = Writer(self.start_soon)
            tasks.start_soon(self._writer.run)
            tasks.start_soon(self.timers.run)
            self.accepting = True
            try:
                yield
            finally:
                try:
                    await self.close_all()  # not where we are cancelled: the writer is too
                finally:
                    self._lose_all()
                    self._tasks = self._writer = None

    async def close_all(self) -> None:
        """Take no new connections, let every outbox run dry, and close; slow ones are cut off."""
        self.accepting = False
        for connection in list(self.connections):
            connection.close(CloseCode.SERVICE_RESTART, "the server is stopping")
        deadline = self.clock.monotonic() + _DRAIN_SECONDS
        with anyio.CancelScope() as scope, self.timers.deadline(deadline, scope.cancel):
            for connection in list(self.connections):
                await connection.wait_closed()
        self._lose_all()

    def _lose_all(self) -> None:
        for connection in list(self.connections):
            connection.lost("server shutting down")
