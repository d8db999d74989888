"""A plugin whose requests weigh something, users with tiers, and clients that ask much."""

from __future__ import annotations

from typing import Any

from lbproto import (
    Context,
    Event,
    Identity,
    Limits,
    Plugin,
    Server,
    Tier,
    Unauthorized,
    Window,
)
from lbproto.testing import VirtualClock
from lbproto.wire import Peer
from tests.core.harness import Client

FEW = Tier(Window(4, 10))  # two at once, then one every five seconds


class Work(Event):
    size: int = 1


class Heavy(Event):
    pass


class Bulk(Event):
    pass


class Own(Event):
    pass


class Worked(Event):
    size: int


def working() -> Plugin:
    plugin = Plugin("working")

    @plugin.on(Work)
    async def work(ctx: Context, request: Work) -> Worked:
        return Worked(size=request.size)

    @plugin.on(Heavy, weight=2)
    async def heavy(ctx: Context, request: Heavy) -> Worked:
        return Worked(size=2)

    @plugin.on(Bulk, weight=30)
    async def bulk(ctx: Context, request: Bulk) -> Worked:
        return Worked(size=30)

    @plugin.on(Own, counted="session")
    async def own(ctx: Context, request: Own) -> Worked:
        return Worked(size=0)

    @plugin.room("room:{name}")
    async def join(ctx: Context, name: str) -> None:
        pass

    return plugin


class Tiers:
    """A token is `<user>` or `<user>/<tier>`."""

    async def authenticate(self, token: str, peer: Peer) -> Identity:
        user, _, tier = token.partition("/")
        if not user:
            raise Unauthorized("no token")
        return Identity(user, {"tier": tier} if tier else {})


def few(**options: Any) -> Limits:
    """Every user has few; a session by itself as much as it likes."""
    return Limits(tiers={"free": FEW}, **{"per_session": None, **options})


def clock_of(server: Server) -> VirtualClock:
    assert isinstance(server.clock, VirtualClock)
    return server.clock


async def succeeds(client: Client, event: str = "work") -> bool:
    """Whether a request is served."""
    *_, last = await client.ask(event, ack=1)
    ok: bool = last.data["ok"] if last.name == "ack" else last.name != "rate_limit_error"
    return ok


async def at_once(client: Client, event: str = "work", most: int = 1_000) -> int:
    """How many requests are served one after the other."""
    for served in range(most):
        if not await succeeds(client, event):
            return served
    return most
