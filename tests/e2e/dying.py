"""An app of several nodes that do things for clients, until they are killed; see `storming`.

What is counted is in the storage; so it is known how often a request was served.
"""

from __future__ import annotations

import os

import anyio

from lbproto import Context, ErrorEvent, Event, Job, Plugin, Server, Stages
from lbproto.backends.redis_pubsub import RedisPubSub
from lbproto.backends.redis_storage import RedisStorage
from lbproto.testing import AnyToken
from tests.e2e.storming import BROKER


class Count(Event):
    """Counts one more of them."""

    name: str
    request_id: str | None = None


class Counted(Event):
    times: int


class Board(Event):
    """A desk's first message."""

    desk: str


class Work(Event):
    """Asks for work that goes on until it is told to end."""


class WorkStarted(Event):
    job_id: str


class WorkDone(Event):
    job_id: str


class WorkError(ErrorEvent):
    job_id: str


class Finish(Event):
    """Ends some work, which is this node's."""

    id: str


JOBS = {Work: Stages(start=WorkStarted, success=WorkDone, failure=WorkError)}


def serving() -> Plugin:
    plugin = Plugin("serving")
    finishing: dict[str, anyio.Event] = {}

    @plugin.room("desk:{name}", announce=False)
    async def join(_ctx: Context, name: str) -> Board:
        return Board(desk=name)

    @plugin.on(Count)
    async def count(ctx: Context, request: Count) -> Counted:
        return Counted(times=await ctx.storage.increment(f"serving/{request.name}"))

    @plugin.job(Work, stages=JOBS[Work])
    async def work(job: Job[Work]) -> WorkDone:
        finishing[job.id] = anyio.Event()
        await finishing[job.id].wait()
        return WorkDone(job_id=job.id)

    @plugin.on(Finish)
    async def finish(_ctx: Context, request: Finish) -> None:
        finishing[request.id].set()

    return plugin


def build() -> Server:
    url = os.environ.get(BROKER, "redis://127.0.0.1")
    pubsub = RedisPubSub(url, heartbeat=0.5, timeout=2.0)
    return Server([serving()], auth=AnyToken(), pubsub=pubsub, storage=RedisStorage(url))


server = build()
app = server.asgi()
