"""A server with small outboxes, and events of every overflow policy to fill them with."""

from __future__ import annotations

from anyio.lowlevel import checkpoint

from lbproto import (
    Context,
    Event,
    Plugin,
    Recovery,
    Server,
    Settings,
    StaticTokens,
    conflate,
    drop_oldest,
)
from tests.e2e.app import USERS
from tests.e2e.probe import probe

MAX_BYTES = 256 * 1024


class Every(Event):
    """Nobody may miss one: who cannot take it is disconnected."""

    number: int
    padding: str = ""


class Sample(Event):
    """The oldest may be dropped."""

    number: int
    padding: str = ""


class Latest(Event):
    """Only the newest of a key counts, except for those that are final."""

    key: int
    number: int
    final: bool
    padding: str = ""


class Publish(Event):
    """Events numbered from `first`, to a room."""

    room: str
    kind: str
    first: int
    count: int
    size: int = 0


class Published(Event):
    dropped: int
    conflated: int


class Count(Event):
    """How is it?"""


class Counted(Event):
    connections: int
    away: int
    dropped: int
    conflated: int
    queued_bytes: int
    slow_consumers: int


KEYS = 10


def _event(kind: str, number: int, padding: str) -> Event:
    if kind == "every":
        return Every(number=number, padding=padding)
    if kind == "sample":
        return Sample(number=number, padding=padding)
    # Each key is final now and then, so that there are some that have to come.
    final = number % 100 < KEYS
    key = number % KEYS
    return Latest(key=key, number=number, final=final, padding="" if final else padding)


def filling() -> Plugin:
    """Rooms `slow:<name>`, and `publish` that fills them."""
    plugin = Plugin("filling")
    plugin.emits(Every)
    plugin.emits(Sample, overflow=drop_oldest)
    plugin.emits(Latest, overflow=conflate(lambda event: None if event.final else event.key))

    @plugin.room("slow:{name}", announce=False)
    async def join(_ctx: Context, name: str) -> None:
        pass

    @plugin.on(Publish)
    async def publish(ctx: Context, request: Publish) -> Published:
        padding = "x" * request.size
        dropped = conflated = 0
        for number in range(request.first, request.first + request.count):
            receipt = ctx.to(request.room).emit(_event(request.kind, number, padding))
            dropped += receipt.dropped
            conflated += receipt.conflated
            await checkpoint()  # whoever reads keeps up
        return Published(dropped=dropped, conflated=conflated)

    @plugin.on(Count)
    async def tell(_ctx: Context, _request: Count) -> Counted:
        numbers = server.statistics()
        return Counted(
            connections=numbers.connections,
            away=numbers.away,
            dropped=numbers.outboxes.dropped,
            conflated=numbers.outboxes.conflated,
            queued_bytes=numbers.outboxes.queued_bytes,
            slow_consumers=numbers.slow_consumers,
        )

    return plugin


server = Server(
    [filling(), probe()],
    auth=StaticTokens(USERS),
    settings=Settings(max_queued_bytes=MAX_BYTES),
    recovery=Recovery(max_bytes=4 * 2**20),
)
app = server.asgi()
