"""A plugin whose job does what the test has it do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from lbproto import ErrorEvent, Event, Job, Plugin, Server, Session, Stages
from lbproto.testing import settle
from lbproto.wire.arguments import ObjectArguments
from tests.core.harness import Client, Sent, running


class Dig(Event):
    depth: int = 3
    request_id: str | None = None


class DigStarted(Event):
    job_id: str
    depth: int


class DigProgress(Event):
    job_id: str
    pct: float


class DigResponse(Event):
    job_id: str
    found: str


class DigClosing(Event):
    job_id: str


class DigCompleted(Event):
    job_id: str
    duration_ms: int


class DigError(ErrorEvent):
    job_id: str


DIG = Stages(
    start=DigStarted,
    progress=DigProgress,
    output=DigResponse,
    before_terminal=DigClosing,
    success=DigCompleted,
    failure=DigError,
)

Handler = Callable[[Job[Dig]], Awaitable[Any]]


class Site:
    """Where it is dug.

    Attributes:
        handler: what a job does before it succeeds.
        jobs: those that were begun, in order.
        unwound: ids of those whose handlers have come to an end.
    """

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.jobs: list[Job[Dig]] = []
        self.unwound: list[str] = []

    def plugin(self, **options: Any) -> Plugin:
        plugin = Plugin("site")

        @plugin.job(Dig, stages=DIG, **options)
        async def dig(job: Job[Dig]) -> DigCompleted:
            self.jobs.append(job)
            try:
                await self.handler(job)
            finally:
                self.unwound.append(job.id)
            return DigCompleted(job_id=job.id, duration_ms=job.duration_ms)

        return plugin

    @asynccontextmanager
    async def running(self, **options: Any) -> AsyncIterator[Server]:
        policy = {name: options.pop(name) for name in ("price", "timeout") if name in options}
        async with running(self.plugin(**policy), **options) as server:
            yield server


async def dug(client: Client, *arguments: Any, ack: int | None = None) -> list[Sent]:
    """What a client is sent for a job, until nothing more happens by itself."""
    await client.send("dig", *arguments, ack=ack)
    await settle()
    return client.take()


class Lost:
    """A client that has lost its connection.

    Args:
        client: that had it.
    """

    def __init__(self, client: Client) -> None:
        session: Session = client.socket.state
        log = client.server._parts.log
        self._former = client
        self._auth = {
            "token": client.user,
            "pid": session.pid,
            "offset": log.offset(log.position),
        }
        client.close("transport close")

    async def comes_back(self) -> Client:
        """The same session, with another connection; what it has missed can be taken."""
        client = Client(self._former.server, self._former.user, max_bytes=10**8)
        await client.server.sessions.authenticate(client.socket, ObjectArguments([self._auth]))
        await client.server.sessions.opened(client.socket)
        assert client.sid == self._former.sid
        return client


def names(sent: list[Sent]) -> list[str]:
    return [each.name for each in sent]


def errors(sent: list[Sent]) -> list[str]:
    """The codes of the jobs that have failed."""
    return [each.data["code"] for each in sent if each.name == "dig_error"]
