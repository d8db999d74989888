"""A server whose jobs stream as much as they are asked for, and say how far they have got."""

from __future__ import annotations

import anyio

from lbproto import ErrorEvent, Event, Job, Plugin, Server, Stages, StaticTokens
from tests.e2e.app import USERS
from tests.e2e.probe import probe

CHUNK = 64 * 1024


class Stream(Event):
    chunks: int
    size: int = CHUNK
    pause: float = 0.0


class StreamStarted(Event):
    job_id: str


class StreamProgress(Event):
    job_id: str
    pct: float


class StreamResponse(Event):
    job_id: str
    number: int
    padding: str


class StreamCompleted(Event):
    job_id: str
    duration_ms: int
    total: int


class StreamError(ErrorEvent):
    job_id: str


class Produced(Event):
    """Ask how much all jobs have produced so far; answered by itself."""

    chunks: int = 0


STAGES = Stages(
    start=StreamStarted,
    progress=StreamProgress,
    output=StreamResponse,
    success=StreamCompleted,
    failure=StreamError,
)


def streaming(price: int | None = None) -> Plugin:
    plugin = Plugin("streaming")
    produced = 0

    @plugin.job(Stream, stages=STAGES, price=price)
    async def stream(job: Job[Stream]) -> StreamCompleted:
        nonlocal produced
        request = job.request
        for number in range(request.chunks):
            job.progress(StreamProgress(job_id=job.id, pct=100 * number / request.chunks))
            padding = "x" * request.size
            await job.send(StreamResponse(job_id=job.id, number=number, padding=padding))
            produced += 1
            if request.pause:
                await anyio.sleep(request.pause)
        return StreamCompleted(job_id=job.id, duration_ms=job.duration_ms, total=request.chunks)

    @plugin.on(Produced)
    async def tell(_ctx: object, _request: Produced) -> Produced:
        return Produced(chunks=produced)

    return plugin


app = Server([streaming(), probe()], auth=StaticTokens(USERS)).asgi()
