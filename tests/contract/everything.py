"""A server with whatever a contract may have to tell, odd names included."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec

from lbproto import (
    Context,
    Encoded,
    ErrorEvent,
    Event,
    Job,
    Limits,
    Model,
    Plugin,
    Server,
    Stages,
    StaticTokens,
    conflate,
    drop_oldest,
)
from lbproto.ledger.memory import MemoryLedger

__all__ = ["server"]


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Circle(Model, tag="circle"):
    radius: float


class Square(Model, tag="square"):
    side: float


class Tree(Model):
    name: str
    children: list[Tree] = msgspec.field(default_factory=list)


class Point(msgspec.Struct, array_like=True):
    x: float
    y: float = 0.0


class Error(Model):
    """Named as what languages have already."""

    code: int


class Words(Model):
    """Fields named as schemas name what they say."""

    discriminator: str
    prefix_items: list[int]
    properties: dict[str, str]
    default: Any = None
    enum: Literal["const"] = "const"


class Draw(Event, event="shape:draw"):
    """Draw a shape. A comment ends with */ and a template has `${these}`."""

    shape: Circle | Square
    colour: Colour
    from_: Annotated[int, msgspec.Meta(ge=0, le=9)]
    place: tuple[int, str]
    tree: Tree
    point: Point
    labels: dict[str, int]
    others: dict[str, Error] | None
    when: datetime
    amount: Decimal
    token: UUID
    picture: bytes
    words: Words
    ratio: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.5
    mode: Literal["fast", "slow", 3, None] = "fast"
    anything: Any = None
    weird: int | str | None = msgspec.field(default=None, name="it's weird")


class Drawn(Event, event="shape:draw"):
    """The same name, the other way."""

    tree: Tree
    rows: Encoded


class Strict(Event, forbid_unknown_fields=True):
    amount_usd: int


class Walk(Event):
    """Walk for long."""

    path_id: str
    steps: int = 1


class WalkStarted(Event):
    path_id: str


class Walking(Event):
    path_id: str
    pct: float


class Step(Event):
    path_id: str
    walk_id: str
    is_last: bool = False


class WalkStopping(Event):
    path_id: str


class Walked(Event):
    path_id: str
    walk_id: str


class WalkError(ErrorEvent):
    path_id: str


class Rest(Event):
    """A job whose success nobody is told of."""


class RestError(ErrorEvent):
    pass


class Silent(Event):
    pass


class Lost(ErrorEvent, kw_only=True):
    room: str


def _plugin() -> Plugin:
    plugin = Plugin("every/thing")
    plugin.emits(Walking, overflow=conflate(lambda event: event.path_id))
    plugin.emits(Silent, overflow=drop_oldest)

    @plugin.on(Draw, price=2, weight=5, counted="session", timeout=7.5)
    async def draw(ctx: Context, request: Draw) -> Drawn | Silent:
        return Silent()

    @plugin.on(Strict, repeatable=True, price=lambda request: request.amount_usd)
    async def strict(ctx: Context, request: Strict) -> None:
        return None

    stages = Stages(
        start=WalkStarted,
        progress=Walking,
        output=Step,
        closing=lambda request, id_, count: Step(request.path_id, id_, is_last=True),
        before_terminal=WalkStopping,
        success=Walked,
        failure=WalkError,
        id="walk_id",
        group="path_id",
        waiting=2,
    )

    @plugin.job(Walk, stages=stages, timeout=30)
    async def walk(job: Job[Walk]) -> Walked:
        return Walked(path_id=job.request.path_id, walk_id=job.id)

    @plugin.job(Rest, stages=Stages(failure=RestError))
    async def rest(job: Job[Rest]) -> None:
        return None

    @plugin.room("what?{topic}/`{rest*}", announce=False, refused=Lost, example="what?a/`b")
    async def join(ctx: Context, topic: str, rest: str) -> Silent:
        return Silent()

    return plugin


def server() -> Server:
    """A new one."""
    return Server(
        [_plugin()], auth=StaticTokens({}), credits=MemoryLedger(), limits=Limits(default="pro")
    )
