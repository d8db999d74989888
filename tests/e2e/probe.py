"""The test plugin: requests that echo, wait, fail, carry bytes, flood, and tell how all is."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from anyio.lowlevel import checkpoint

from lbproto import Context, Event, Plugin, Server, Unauthorized

PURPOSE = "it fails on purpose"
"""What the failing handler raises; no client may ever see it."""


class Echo(Event):
    text: str
    times: int = 1


class Echoed(Event):
    text: str
    times: int


class Wait(Event):
    """Answered once somebody has sent `Release` with the same name."""

    name: str


class Release(Event):
    name: str


class Released(Event):
    name: str


class Fail(Event):
    pass


class Reverse(Event):
    """Bytes there and back: as attachments where the wire has them."""

    data: bytes
    parts: list[bytes] = []  # noqa: RUF012 - msgspec copies it


class Reversed(Event):
    data: bytes
    parts: list[bytes]


class Note(Event):
    """To everyone in a lobby, the sender included."""

    name: str
    text: str


class Noted(Event):
    user_id: str
    text: str


class Flood(Event):
    name: str
    count: int
    size: int


class Flooded(Event):
    number: int
    padding: str


class FloodDone(Event):
    count: int


class Inspect(Event):
    pass


class Inspected(Event):
    """How the server's process is; sizes in bytes."""

    pid: int
    connections: int
    engines: int
    rooms: int
    members: int
    presences: int
    tasks: int
    rss: int
    peak_rss: int


def probe() -> Plugin:
    """The plugin; what it knows of its server comes with the lifespan."""
    running: list[Server] = []
    waiting: dict[str, anyio.Event] = {}

    @asynccontextmanager
    async def lifespan(server: Server) -> AsyncIterator[None]:
        running.append(server)
        yield
        running.clear()

    plugin = Plugin("probe", lifespan=lifespan)

    @plugin.on(Echo)
    async def echo(_ctx: Context, request: Echo) -> Echoed:
        return Echoed(text=request.text, times=request.times)

    @plugin.on(Wait)
    async def wait(_ctx: Context, request: Wait) -> Released:
        await waiting.setdefault(request.name, anyio.Event()).wait()
        return Released(name=request.name)

    @plugin.on(Release)
    async def release(_ctx: Context, request: Release) -> Released:
        waiting.setdefault(request.name, anyio.Event()).set()
        return Released(name=request.name)

    @plugin.on(Fail)
    async def fail(_ctx: Context, _request: Fail) -> None:
        raise RuntimeError(PURPOSE)

    @plugin.on(Reverse)
    async def reverse(_ctx: Context, request: Reverse) -> Reversed:
        return Reversed(data=request.data[::-1], parts=request.parts[::-1])

    _declare_rooms(plugin)

    @plugin.on(Inspect)
    async def inspect(_ctx: Context, _request: Inspect) -> Inspected:
        server = running[0]
        return Inspected(
            pid=os.getpid(),
            connections=len(server.runtime.connections),
            engines=len(server.runtime.engines),
            rooms=len(server._hub._rooms),
            members=len(server._hub._rooms._of),
            presences=len(server._membership.announcements),
            tasks=len(anyio.get_running_tasks()),
            rss=_rss(),
            peak_rss=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        )

    return plugin


def _declare_rooms(plugin: Plugin) -> None:
    plugin.emits(Noted, Flooded)

    @plugin.room("lobby:{name}")
    async def lobby(_ctx: Context, name: str) -> None:
        pass

    @plugin.room("flood:{name}", announce=False)
    async def flooded(_ctx: Context, name: str) -> None:
        pass

    @plugin.room("closed:{name}", announce=False)
    async def closed(_ctx: Context, name: str) -> None:
        raise Unauthorized(f"Nobody gets into {name}")

    @plugin.on(Note)
    async def note(ctx: Context, request: Note) -> None:
        ctx.to(f"lobby:{request.name}").emit(Noted(user_id=ctx.user_id, text=request.text))

    @plugin.on(Flood)
    async def flood(ctx: Context, request: Flood) -> FloodDone:
        padding = "x" * request.size
        room = ctx.to(f"flood:{request.name}")
        for number in range(request.count):
            room.emit(Flooded(number=number, padding=padding))
            await checkpoint()  # whoever reads keeps up
        return FloodDone(count=request.count)


def _rss() -> int:
    if sys.platform != "linux":
        return 0
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
