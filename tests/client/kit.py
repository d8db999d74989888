"""What the tests of the client share: a server in this process, and a network that breaks."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from typing import Any

import anyio
import hypercorn.asyncio
import hypercorn.trio
import sniffio
from anyio.abc import ByteStream, Listener, SocketAttribute, SocketStream
from hypercorn.config import Config

from lbproto import (
    Client,
    Context,
    ErrorEvent,
    Event,
    InvalidRequest,
    Job,
    NotFound,
    Plugin,
    Reconnect,
    Server,
    Stages,
    drop_oldest,
)
from lbproto.ledger.memory import MemoryLedger
from lbproto.testing import AnyToken

__all__ = [
    "AT_ONCE",
    "JOBS",
    "TWO_WIRES",
    "WIRES",
    "Confirm",
    "Confirmed",
    "Dig",
    "DigCompleted",
    "DigError",
    "DigProgress",
    "DigResponse",
    "DigStarted",
    "Double",
    "Doubled",
    "Proxy",
    "Said",
    "Say",
    "Site",
    "Sure",
    "connected",
    "port_of",
    "running",
    "served",
    "server_of",
    "until",
]

WIRES = ("plain-json", "plain-msgpack", "socketio-json", "socketio-msgpack")
TWO_WIRES = ("plain-json", "socketio-msgpack")
"""Where the others differ in nothing that matters."""
_SECONDS = 60  # what hangs fails
AT_ONCE = Reconnect(first=0.01, most=0.05)


class Double(Event):
    number: int
    raw: bytes = b""


class Doubled(Event):
    number: int
    raw: bytes = b""
    times: int = 1


class Say(Event):
    """Have a room told."""

    room: str
    text: str
    count: int = 1


class Said(Event):
    room: str
    text: str
    number: int = 0


class Sure(Event):
    """Are you?"""

    what: str


class Confirm(Event):
    """Have the server ask whether one is sure; answered by what it was told.

    Attributes:
        within: for how long it waits, in seconds.
    """

    what: str
    within: float = _SECONDS


class Confirmed(Event):
    yes: bool


class Dig(Event):
    depth: int = 3
    size: int = 10
    request_id: str | None = None


class DigStarted(Event):
    job_id: str
    where: str  # which only the handler knows


class DigProgress(Event):
    job_id: str
    pct: float


class DigResponse(Event):
    job_id: str
    number: int
    padding: str


class DigCompleted(Event):
    job_id: str
    duration_ms: int


class DigError(ErrorEvent):
    job_id: str


STAGES = Stages(
    start=DigStarted,
    progress=DigProgress,
    output=DigResponse,
    success=DigCompleted,
    failure=DigError,
)
JOBS = {Dig: STAGES}


class Site:
    """What the server does, and has done.

    Attributes:
        doubled: how often each number was doubled.
        held: requests and jobs go on once it is set; by default they do.
        beginning: likewise, jobs begin.
        jobs: those that were begun, in order.
        ended: the ids of those whose handlers have ended.
        closed: rooms that let nobody in.
        step: how many parts of results were sent.
    """

    def __init__(self) -> None:
        self.doubled: dict[int, int] = {}
        self.held = anyio.Event()
        self.held.set()
        self.beginning = anyio.Event()
        self.beginning.set()
        self.jobs: list[Job[Dig]] = []
        self.ended: list[str] = []
        self.closed: set[str] = set()
        self.step = 0

    def hold(self) -> None:
        self.held = anyio.Event()

    def hold_jobs(self) -> None:
        """Have jobs wait before they begin."""
        self.beginning = anyio.Event()

    def plugin(self) -> Plugin:
        plugin = Plugin("site")
        plugin.emits(Said, overflow=drop_oldest)
        plugin.emits(Sure)

        @plugin.on(Confirm)
        async def confirm(ctx: Context, request: Confirm) -> Confirmed:
            return await ctx.emit_with_ack(Sure(request.what), Confirmed, timeout=request.within)

        @plugin.on(Double, price=lambda request: 1 if request.number > 1_000 else 0)
        async def double(ctx: Context, request: Double) -> Doubled:
            if request.number < 0:
                raise InvalidRequest("only what is above nothing is doubled")
            times = self.doubled[request.number] = self.doubled.get(request.number, 0) + 1
            await self.held.wait()
            return Doubled(number=2 * request.number, raw=request.raw * 2, times=times)

        @plugin.room("talk:{name}", announce=False)
        async def join(ctx: Context, name: str) -> Said:
            if name in self.closed:
                raise NotFound("nobody talks there")
            return Said(room=f"talk:{name}", text="welcome")

        @plugin.on(Say)
        async def say(ctx: Context, request: Say) -> None:
            for number in range(request.count):
                ctx.to(request.room).emit(Said(request.room, request.text, number))

        @plugin.job(Dig, stages=STAGES)
        async def dig(job: Job[Dig]) -> DigCompleted:
            if job.request.depth < 0:
                raise InvalidRequest("nobody digs that deep")
            self.jobs.append(job)
            await self.beginning.wait()
            try:
                job.start(DigStarted(job.id, where=""))
                for number in range(job.request.depth):
                    job.progress(DigProgress(job.id, 100 * number / job.request.depth))
                    padding = "x" * job.request.size
                    await job.send(DigResponse(job_id=job.id, number=number, padding=padding))
                    self.step += 1
                    await self.held.wait()
            finally:
                self.ended.append(job.id)
            return DigCompleted(job_id=job.id, duration_ms=job.duration_ms)

        return plugin


@asynccontextmanager
async def running(server: Server) -> AsyncIterator[str]:
    """Run a server in this event loop; the address."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.errorlog = None
    config.graceful_timeout = 0.1
    module = hypercorn.trio if sniffio.current_async_library() == "trio" else hypercorn.asyncio
    serve: Callable[..., Coroutine[Any, Any, None]] = module.serve
    stop = anyio.Event()
    with anyio.fail_after(_SECONDS):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(serve, server.asgi(), config, shutdown_trigger=stop.wait))
            try:
                yield f"ws://127.0.0.1:{port}"
            finally:
                stop.set()


def server_of(*plugins: Plugin, **options: Any) -> Server:
    """A server of these plugins, that lets everybody in."""
    return Server(plugins, **{"auth": AnyToken(), "credits": MemoryLedger(), **options})


def served(*plugins: Plugin, **options: Any) -> AbstractAsyncContextManager[str]:
    """Run a server of these plugins."""
    return running(server_of(*plugins, **options))


@asynccontextmanager
async def connected(url: str, user: str = "ada", **options: Any) -> AsyncIterator[Client]:
    """A client that comes back fast, and knows the site."""
    settings = {"token": user, "jobs": JOBS, "reconnect": AT_ONCE, **options}
    async with Client(url, **settings) as client:
        yield client


def port_of(listener: Listener[SocketStream]) -> int:
    """Where it listens."""
    return listener.extra(SocketAttribute.local_port)  # noqa: S610 - that is Django's


async def until(happened: Callable[[], bool]) -> None:
    """Wait until something has happened, whatever it may be."""
    while not happened():  # noqa: ASYNC110 - nothing tells of it
        await anyio.sleep(0.005)


class Proxy:
    """A network between client and server, that breaks when a test says so.

    Attributes:
        url: where to connect to, instead of the server.
        accepting: whether new connections are let through; others are closed at once.
    """

    def __init__(self, url: str) -> None:
        self.url = ""
        self.accepting = True
        self._port = int(url.rpartition(":")[2])
        self._scopes: set[anyio.CancelScope] = set()

    def cut(self) -> None:
        """Lose all connections without a word."""
        for scope in self._scopes:
            scope.cancel()

    async def cut_when(self, when: Callable[[], bool], then: Callable[[], None]) -> None:
        """Do so once something has happened, and something else after that."""
        await until(when)
        self.cut()
        then()

    @classmethod
    @asynccontextmanager
    async def before(
        cls,
        url: str,
        wrap: Callable[[Listener[SocketStream]], Listener[Any]] = lambda listener: listener,
    ) -> AsyncIterator[Proxy]:
        """One before a server; clients connect to what is made of its listener."""
        proxy = cls(url)
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        proxy.url = f"ws://127.0.0.1:{port_of(listener)}"
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(wrap(listener).serve, proxy._connect)
            yield proxy
            proxy.cut()
            tasks.cancel_scope.cancel()

    async def _connect(self, client: ByteStream) -> None:
        if not self.accepting:
            await client.aclose()
            return
        async with await anyio.connect_tcp("127.0.0.1", self._port) as server, client:
            async with anyio.create_task_group() as tasks:
                self._scopes.add(tasks.cancel_scope)
                tasks.start_soon(_copy, client, server, tasks.cancel_scope)
                tasks.start_soon(_copy, server, client, tasks.cancel_scope)
            self._scopes.remove(tasks.cancel_scope)


async def _copy(source: ByteStream, sink: ByteStream, both: anyio.CancelScope) -> None:
    with suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
        while True:
            await sink.send(await source.receive())
    both.cancel()
