"""Servers that count without end, so that a client can tell whether it has missed something.

Every stream of events is numbered without a gap: each `count:` room, a `spared:` room (each member
is spared some, by a rule that it knows), a user's personal room, the answers to one session.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from lbproto import Context, Event, Plugin, Recovery, Server, Settings, StaticTokens, SystemClock

__all__ = ["ROOMS", "SPARED", "USERS", "app", "is_spared", "still"]

USERS = {f"token-{number}": f"user-{number}" for number in range(40)}
ROOMS = ("count:0", "count:1", "count:2")
SPARED = "spared:all"
_TICK = 0.04  # seconds


class CountFrom(Event):
    """A room's first message: the next number there."""

    room: str
    number: int


class Counted(Event):
    room: str
    number: int


class Pushed(Event):
    """To every session of a user; numbered per user."""

    number: int


class Next(Event):
    """Answered by the next number of this session."""


class Answered(Event):
    number: int


class Pass(Event):
    """Let seconds pass on the server's clock."""

    seconds: float


class Passed(Event):
    pass


class Tell(Event):
    """Have one event sent to a room, to the sender's own user where none is named."""

    text: str
    room: str = ""
    spare: str = ""


class Told(Event):
    text: str


def is_spared(sid: str, number: int) -> bool:
    """Whether a session does not get that event of the `spared:` room."""
    return (sum(sid.encode()) + number) % 3 == 0


class _ShiftingClock(SystemClock):
    """The machine's clock, put forward by clients."""

    def __init__(self) -> None:
        self.shift = 0.0

    def now(self) -> float:
        return super().now() + self.shift

    def monotonic(self) -> float:
        return super().monotonic() + self.shift

    async def sleep(self, seconds: float) -> None:
        until = self.monotonic() + seconds
        await super().sleep(min(seconds, 0.02))
        while self.monotonic() < until:
            await super().sleep(0.02)


def _counting(*, ticking: bool, clock: _ShiftingClock) -> Plugin:
    numbers: Counter[str] = Counter()

    @asynccontextmanager
    async def lifespan(server: Server) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            if ticking:
                tasks.start_soon(_tick, server, numbers)
            yield
            tasks.cancel_scope.cancel()

    plugin = Plugin("counting", lifespan=lifespan)
    plugin.emits(Counted, Pushed, Told)

    @plugin.room("count:{name}", announce=False)
    async def count(_ctx: Context, name: str) -> CountFrom:
        room = f"count:{name}"
        return CountFrom(room=room, number=numbers[room] + 1)

    @plugin.room("spared:{name}", announce=False)
    async def spared(_ctx: Context, name: str) -> CountFrom:
        room = f"spared:{name}"
        return CountFrom(room=room, number=numbers[room] + 1)

    @plugin.on(Next)
    async def next_(ctx: Context, _request: Next) -> Answered:
        numbers[ctx.session.sid] += 1
        return Answered(number=numbers[ctx.session.sid])

    @plugin.on(Pass)
    async def pass_(_ctx: Context, request: Pass) -> Passed:
        clock.shift += request.seconds
        return Passed()

    @plugin.on(Tell)
    async def tell(ctx: Context, request: Tell) -> None:
        room = request.room or ctx.session.personal_room
        ctx.to(room, except_=[request.spare]).emit(Told(text=request.text))

    return plugin


async def _tick(server: Server, numbers: Counter[str]) -> None:
    def next_number(stream: str) -> int:
        numbers[stream] += 1
        return numbers[stream]

    while True:
        for room in ROOMS:
            await server.clock.sleep(_TICK)
            server.to(room).emit(Counted(room=room, number=next_number(room)))
            number = next_number(SPARED)
            members = await server.members(SPARED)
            except_ = [member.sid for member in members if is_spared(member.sid, number)]
            server.to(SPARED, except_=except_).emit(Counted(room=SPARED, number=number))
            for user in {member.user_id for member in members}:
                server.to_user(user).emit(Pushed(number=next_number(user)))


def _build(settings: Settings, *, ticking: bool) -> Server:
    clock = _ShiftingClock()
    return Server(
        [_counting(ticking=ticking, clock=clock)],
        auth=StaticTokens(USERS),
        settings=settings,
        recovery=Recovery(window=120.0, grace=15.0),
        clock=clock,
    )


# Who does not answer is noticed soon.
app = _build(Settings(ping_interval=0.5, ping_timeout=2), ticking=True).asgi()

# Nothing happens here unless a client has it; hours may pass without a heartbeat.
still = _build(Settings(ping_interval=500_000, ping_timeout=500_000), ticking=False).asgi()
