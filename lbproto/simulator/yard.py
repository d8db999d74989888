"""What every world has: rooms that people post to, things that are sold, and jobs that may fail.

A plugin like any other. It writes down the truth, which the checks compare with what clients are
told.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from random import Random

import anyio

from lbproto.clock import Clock
from lbproto.context import Context
from lbproto.errors import NotFound, Overloaded
from lbproto.events import ErrorEvent, Event
from lbproto.jobs.job import Job
from lbproto.jobs.stages import Stages
from lbproto.messages import Cancel, Ping, Subscribe, Unsubscribe
from lbproto.plugin import Plugin
from lbproto.server import Server

__all__ = [
    "GRANT",
    "ROOMS",
    "WELCOME",
    "Board",
    "Buy",
    "Dig",
    "DigDone",
    "DigFound",
    "Planned",
    "Post",
    "Posted",
    "Truth",
    "visit",
    "yard",
]

ROOMS = ("yard:oak", "yard:elm")
GRANT = 30
WELCOME = "welcome"
PRICE = 5
_DIG_PRICE = 3


class Planned(Exception):
    """What a handler fails with that is meant to fail."""


class Truth:
    """What the nodes have really done.

    Args:
        time: virtual time, in seconds.

    Attributes:
        posts: when each was published, by room and node: the first has number 1.
        sold: what was served, by user: the key that it was asked by, and what it costs.
    """

    def __init__(self, time: Callable[[], float]) -> None:
        self.posts: dict[tuple[str, str], list[float]] = {}
        self.sold: dict[str, list[tuple[str, int]]] = {}
        self._time = time

    def posted(self, room: str, node: str) -> None:
        """Something was published."""
        self.posts.setdefault((room, node), []).append(self._time())

    def last(self, room: str, node: str) -> int:
        """The number of the last post."""
        return len(self.posts.get((room, node), ()))


class Post(Event):
    """Asks to publish something to a room, several times."""

    room: str
    times: int = 1
    size: int = 0


class Taken(Event):
    """It was published; this is the number of the last."""

    room: str
    number: int


class Posted(Event):
    """What is published: a node's posts to a room are numbered from 1."""

    room: str
    node: str
    number: int
    filling: str = ""


class Board(Event):
    """A room's first message: how many posts of this node it has had."""

    room: str
    node: str
    number: int


class Buy(Event):
    """Asks for something that costs; the mode says how it goes."""

    mode: str
    key: str = ""


class Bought(Event):
    """It was sold."""

    mode: str
    key: str = ""


class Dig(Event):
    """Asks for a job; the mode says how it goes."""

    mode: str
    steps: int = 0
    key: str = ""


class DigStarted(Event):
    """It has begun."""

    dig_id: str


class DigProgress(Event):
    """How far it is."""

    dig_id: str
    pct: int


class DigFound(Event):
    """A part of what it finds, numbered from 1."""

    dig_id: str
    number: int
    filling: str = ""


class DigDone(Event):
    """It has ended well."""

    dig_id: str
    found: int


class DigError(ErrorEvent, kw_only=True):
    """It has failed."""

    dig_id: str = ""


_STAGES = Stages(
    start=DigStarted,
    progress=DigProgress,
    output=DigFound,
    success=DigDone,
    failure=DigError,
    id="dig_id",
)
_COSTS = {"ok": PRICE, "part": 2, "more": 9, "slow": PRICE}


def yard(node: str, truth: Truth, users: Callable[[], list[str]]) -> Plugin:
    """The plugin, for one node.

    Args:
        node: its name.
        truth: told what is done.
        users: who is given something to spend.
    """

    @asynccontextmanager
    async def granting(server: Server) -> AsyncIterator[None]:
        for user in users():
            await _granted(server, user)
        yield

    plugin = Plugin("yard", lifespan=granting)
    _have_rooms(plugin, node, truth)
    _sell(plugin, truth)
    _dig(plugin, truth)
    return plugin


def _have_rooms(plugin: Plugin, node: str, truth: Truth) -> None:
    plugin.emits(Posted)

    @plugin.room("yard:{name}")
    async def join(ctx: Context, name: str) -> Board:
        room = f"yard:{name}"
        board = Board(room, node, truth.last(room, node))
        ctx.mark_snapshot()
        await ctx.clock.sleep(0.01)
        return board

    @plugin.on(Post)
    async def post(ctx: Context, request: Post) -> Taken:
        room, filling = request.room, "." * request.size
        for _ in range(request.times):
            number = truth.last(room, node) + 1
            ctx.to(room).emit(Posted(room, node, number, filling))
            truth.posted(room, node)
        return Taken(room, truth.last(room, node))


def _sell(plugin: Plugin, truth: Truth) -> None:
    @plugin.on(Buy, price=PRICE)
    async def buy(ctx: Context, request: Buy) -> Bought:
        if request.mode == "slow":
            await ctx.clock.sleep(1.5)
        elif request.mode == "part":
            await ctx.charge(2)
        elif request.mode == "more":
            await ctx.charge(5)
            await ctx.charge(4)
        elif request.mode == "none":
            raise NotFound("There is none")
        elif request.mode == "crash":
            raise Planned
        truth.sold.setdefault(ctx.user_id, []).append((request.key, _COSTS[request.mode]))
        return Bought(request.mode, request.key)


def _dig(plugin: Plugin, truth: Truth) -> None:
    @plugin.job(Dig, stages=_STAGES, price=_DIG_PRICE, timeout=9.0)
    async def dig(job: Job[Dig]) -> DigDone:
        request, clock = job.request, job.ctx.clock
        if request.mode == "none":
            raise NotFound("There is nothing")
        # At most: whatever was delivered is paid for, also where it fails then.
        truth.sold.setdefault(job.ctx.user_id, []).append((request.key, _DIG_PRICE))
        for number in range(1, request.steps + 1):
            await clock.sleep(0.05)
            job.progress(DigProgress(job.id, 100 * number // request.steps))
            await job.send(DigFound(job.id, number))
        if request.mode == "crash":
            raise Planned
        if request.mode == "hang":
            await _hang(clock)
        return DigDone(job.id, request.steps)


async def _hang(clock: Clock) -> None:
    """Take longer than it may, and to unwind, too."""
    try:
        await clock.sleep(60)
    finally:
        with anyio.CancelScope(shield=True):
            await clock.sleep(4)


async def _granted(server: Server, user: str) -> None:
    """Have a user granted something once, as soon as the store can be reached."""
    while True:
        try:
            await server.credits.grant(user, GRANT, WELCOME, transaction_id=f"welcome-{user}")
        except Overloaded:
            await server.clock.sleep(0.5)
        else:
            return


def visit(random: Random) -> Iterator[Event | Callable[[list[Event]], Event | None]]:
    """What one client does here, for ever."""
    yield Subscribe(random.choice(ROOMS))
    while True:
        room = random.choice(ROOMS)
        chance = random.random()
        if chance < 0.40:
            yield Post(room)
        elif chance < 0.45:
            yield Post(room, random.randint(5, 40), random.choice((0, 50, 300)))
        elif chance < 0.60:
            yield Subscribe(room)
        elif chance < 0.65:
            yield Unsubscribe(room)
        elif chance < 0.80:
            key = f"k{random.randrange(1_000_000)}"
            yield Buy(random.choice(("ok", "ok", "part", "more", "slow", "none", "crash")), key)
        elif chance < 0.92:
            mode = random.choice(("done", "done", "none", "crash", "hang"))
            yield Dig(mode, random.randrange(5), f"k{random.randrange(1_000_000)}")
        elif chance < 0.97:
            yield _cancel_last
        else:
            yield Ping()


def _cancel_last(told: list[Event]) -> Event | None:
    """Cancel the job that was begun last, if there is one."""
    for event in reversed(told):
        if isinstance(event, DigStarted):
            return Cancel(event.dig_id)
    return None
