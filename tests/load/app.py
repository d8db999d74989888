"""The apps that load is put on."""

from __future__ import annotations

import time

from lbproto import Context, Event, Plugin, Server, Settings, StaticTokens

USERS = {f"token-{number}": f"user-{number}" for number in range(4)}


class Flood(Event):
    """Ask for `count` events to everyone in `room`."""

    room: str
    count: int


class Tick(Event):
    """One of them. Its text has the byte in it that WebSocket pings begin with."""

    t: int
    text: str = "É" * 80  # C3 89 in UTF-8


class Echo(Event):
    text: str = "again"


class Echoed(Event):
    text: str


class Look(Event):
    """Ask how many sessions there are."""


class Seen(Event):
    sessions: int


def build(settings: Settings | None = None) -> Server:
    made: list[Server] = []  # handlers are registered before there is one
    plugin = Plugin("load")
    plugin.emits(Tick)

    @plugin.room("load:{name}", announce=False)
    async def join(ctx: Context, name: str) -> None: ...

    @plugin.on(Flood)
    async def flood(ctx: Context, request: Flood) -> None:
        room = ctx.to(request.room)
        for _ in range(request.count):
            room.emit(Tick(t=time.monotonic_ns()))

    @plugin.on(Echo)
    async def echo(ctx: Context, request: Echo) -> Echoed:
        return Echoed(text=request.text)

    @plugin.on(Look)
    async def look(ctx: Context, request: Look) -> Seen:
        return Seen(sessions=made[0].statistics().sessions)

    made.append(Server([plugin], auth=StaticTokens(USERS), settings=settings))
    return made[0]


app = build().asgi()

# A client that does not answer heartbeats lives for less than two seconds.
brisk = build(Settings(ping_interval=0.2, ping_timeout=1.5)).asgi()
