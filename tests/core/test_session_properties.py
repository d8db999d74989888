"""Any order of joins, leaves, losses and resumptions: nobody misses an event or gets one twice,
counts are right, and what is told of users who come and go is paired.

Against a model that knows no log: it keeps, for every session, what it has to get.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lbproto import Context, Event, Plugin, Server
from lbproto.testing import VirtualClock
from lbproto.wire import CLIENT_LEFT, Inbound
from lbproto.wire.arguments import JSONArguments, ObjectArguments
from tests.core.harness import FORMATS, MemorySocket, running

pytestmark = pytest.mark.anyio

GRACE, WINDOW = 15.0, 120.0
USERS = ["ada", "ada", "bob", "bob", "eve", "eve"]  # of the sessions: two each
ROOMS = ["loud:a", "loud:b", "quiet"]


class Numbered(Event):
    room: str
    number: int


class Ask(Event):
    """Answered with the number of the question."""


class Answer(Event):
    number: int


def rooms() -> Plugin:
    plugin = Plugin("rooms")
    plugin.emits(Numbered)
    asked: dict[str, int] = defaultdict(int)

    @plugin.room("loud:{name}")
    async def loud(ctx: Context, name: str) -> None:
        pass

    @plugin.room("quiet", announce=False)
    async def quiet(ctx: Context) -> None:
        pass

    @plugin.on(Ask)
    async def ask(ctx: Context, request: Ask) -> Answer:
        asked[ctx.session.sid] += 1
        return Answer(number=asked[ctx.session.sid])

    return plugin


@dataclass
class Stay:
    """The model of one session in one room, and what its client has seen of it."""

    due: list[int] = field(default_factory=list)
    got: list[int] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)  # users, as the client knows them


class Client:
    """A client as a stock one behaves, and the model of its session."""

    def __init__(self, server: Server, user: str) -> None:
        self.server = server
        self.user = user
        self.socket: MemorySocket | None = None
        self.alive = False  # whether the model has a session of it
        self.away_since: float | None = None
        self.stays: dict[str, Stay] = {}
        self.answers = 0
        self.sid = ""
        self.pid: str | None = None
        self.offset: str | None = None
        self.events: list[tuple[str, Any]] = []

    async def connect(self, wire: str) -> list[str]:
        """Connect, or come back; the events that it is told first."""
        socket = MemorySocket(FORMATS[wire])
        auth = {"token": self.user}
        if self.pid is not None:
            auth["pid"] = self.pid
        if self.offset is not None:
            auth["offset"] = self.offset
        await self.server.sessions.authenticate(socket, ObjectArguments([auth]))
        await self.server.sessions.opened(socket)
        self.socket = socket
        self.events.clear()
        self.read()
        return [name for name, _ in self.events]

    def read(self, but: int = 0) -> None:
        """Take what has been sent; the last few are lost on the way."""
        assert self.socket is not None
        frames = self.socket.outbox.take()
        for frame in frames[: len(frames) - but]:
            (message,) = frame.messages
            self._take(*_parse(message))

    def _take(self, name: str, data: Any, offset: str) -> None:
        self.offset = offset
        self.events.append((name, data))
        if name == "connected":
            self.pid, self.sid = data["pid"], data["sid"]
        elif name == "numbered":
            self.stays[data["room"]].got.append(data["number"])
        elif name == "answer":
            assert data["number"] == self.answers + 1
            self.answers += 1
        elif name == "user_joined_room":
            seen = self.stays[data["room"]].seen
            assert data["userId"] not in seen | {self.user}
            seen.add(data["userId"])
        elif name == "user_left_room":
            assert data["userId"] != self.user
            self.stays[data["room"]].seen.remove(data["userId"])

    async def request(self, event: str, **data: Any) -> None:
        assert self.socket is not None
        arguments = JSONArguments([msgspec.Raw(msgspec.json.encode(data))])
        await self.server.sessions.event(self.socket, Inbound(event, arguments, None))

    def counts(self, now: float) -> bool:
        """Whether its rooms count it."""
        return self.alive and (self.away_since is None or now < self.away_since + GRACE)


def _parse(message: str | bytes) -> tuple[str, Any, str]:
    text = message if isinstance(message, str) else message.decode()
    if text.startswith("42"):
        name, data, offset = msgspec.json.decode(text[2:])
        return name, data, offset
    frame = msgspec.json.decode(text)
    return frame["event"], frame["data"], frame["offset"]


class World:
    """The server, its clients, and what the model knows of both."""

    def __init__(self, server: Server, clock: VirtualClock) -> None:
        self.server = server
        self.clock = clock
        self.clients = [Client(server, user) for user in USERS]
        self.numbers: dict[str, int] = defaultdict(int)

    # Operations; one that makes no sense now does nothing

    async def connect(self, who: int, wire: str) -> None:
        client = self.clients[who]
        if client.socket is not None:
            return
        told = await client.connect(wire)
        if client.alive:
            assert told[0] == "connected"
            assert told[-1] == "recovered"
            assert client.events[-1][1]["missed"] == len(told) - 2
            client.away_since = None
        else:
            lost = [] if len(told) == 1 else ["session_lost"]
            assert told == ["connected", *lost]
            client.alive, client.away_since = True, None
            client.stays, client.answers = {}, 0

    async def subscribe(self, who: int, room: str) -> None:
        client = self.clients[who]
        if client.socket is None:
            return
        if room not in client.stays:
            client.stays[room] = Stay(seen=self.present(room) - {client.user})
        await client.request("subscribe", room=room)

    async def unsubscribe(self, who: int, room: str) -> None:
        client = self.clients[who]
        if client.socket is None:
            return
        await client.request("unsubscribe", room=room)
        client.read()
        self.close_stay(client, room)

    async def kick(self, who: int, room: str) -> None:
        user = USERS[who]
        await self.server.kick(user, room)
        for client in self.clients:
            if client.user == user and client.alive and room in client.stays:
                if client.socket is None:
                    client.stays[room] = _Closed.of(client.stays[room])
                else:
                    client.read()
                    self.close_stay(client, room)

    async def emit(self, who: int, room: str) -> None:
        """To a room; one session in three is excepted."""
        self.numbers[room] += 1
        number = self.numbers[room]
        excepted = self.clients[who] if number % 3 == 0 else None
        sids = [excepted.sid] if excepted is not None and excepted.alive else []
        self.server.to(room, except_=sids).emit(Numbered(room=room, number=number))
        for client in self.clients:
            stay = client.stays.get(room)
            if client.alive and stay is not None and _in(stay) and client is not excepted:
                stay.due.append(number)

    async def ask(self, who: int, room: str) -> None:
        if self.clients[who].socket is not None:
            await self.clients[who].request("ask")

    async def lose(self, who: int, lost: int) -> None:
        """The connection is lost, and with it the last things that were on their way."""
        client = self.clients[who]
        if client.socket is None:
            return
        for room in ROOMS[:lost]:
            await self.emit(len(self.clients) - 1 - who, room)
        await client.request("ask")
        client.read(but=lost)
        self.server.sessions.closed(client.socket, "transport close")
        client.socket, client.away_since = None, self.clock.monotonic()

    async def leave(self, who: int, room: str) -> None:
        client = self.clients[who]
        if client.socket is None:
            return
        client.read()
        self.server.sessions.closed(client.socket, CLIENT_LEFT)
        client.socket = None
        self.end(client)

    async def wait(self, seconds: float) -> None:
        await self.clock.advance(seconds)
        for client in self.clients:
            since = client.away_since
            if client.alive and since is not None and self.clock.monotonic() - since >= WINDOW:
                self.end(client)

    # The model

    def end(self, client: Client) -> None:
        if client.socket is None and client.away_since is None:
            for room in list(client.stays):
                self.close_stay(client, room)
        client.alive, client.away_since = False, None

    def close_stay(self, client: Client, room: str) -> None:
        stay = client.stays.pop(room, None)
        if stay is not None:
            assert stay.got == stay.due

    def present(self, room: str) -> set[str]:
        now = self.clock.monotonic()
        return {
            client.user
            for client in self.clients
            if client.counts(now) and _in(client.stays.get(room))
        }

    def check(self) -> None:
        now = self.clock.monotonic()
        for room in ROOMS:
            counted = sum(
                client.counts(now) and _in(client.stays.get(room)) for client in self.clients
            )
            assert self.server._membership.count(room) == counted
        for client in self.clients:
            if client.socket is None:
                continue
            client.read()
            for room, stay in list(client.stays.items()):
                assert stay.got == stay.due
                if isinstance(stay, _Closed):
                    del client.stays[room]
                elif room.startswith("loud"):
                    assert stay.seen == self.present(room) - {client.user}


class _Closed(Stay):
    """One that ended while its client was away, and has still to get what was before."""

    @classmethod
    def of(cls, stay: Stay) -> Stay:
        return cls(stay.due, stay.got, stay.seen)


def _in(stay: Stay | None) -> bool:
    return stay is not None and not isinstance(stay, _Closed)


who = st.integers(0, len(USERS) - 1)
room = st.sampled_from(ROOMS)
wire = st.sampled_from(["socketio-json", "plain-json"])
OPERATIONS = st.one_of(
    st.tuples(st.just("connect"), who, wire),
    st.tuples(st.just("connect"), who, wire),
    st.tuples(st.just("subscribe"), who, room),
    st.tuples(st.just("subscribe"), who, room),
    st.tuples(st.just("unsubscribe"), who, room),
    st.tuples(st.just("kick"), who, room),
    st.tuples(st.just("emit"), who, room),
    st.tuples(st.just("ask"), who, room),
    st.tuples(st.just("lose"), who, st.integers(0, 3)),
    st.tuples(st.just("leave"), who, room),
    st.tuples(st.just("wait"), st.sampled_from([1.0, 5.0, 10.0, 14.9, 15.1, 100.0])),
)


async def live(operations: list[tuple[Any, ...]]) -> None:
    clock = VirtualClock()
    async with running(rooms(), clock=clock) as server:
        world = World(server, clock)
        for number in range(len(USERS) // 2):  # something is going on from the start
            await world.connect(number, "socketio-json")
            await world.subscribe(number, ROOMS[0])
            await world.subscribe(number, ROOMS[2])
            world.check()
        for operation, *arguments in operations:
            act: Callable[..., Any] = getattr(world, operation)
            await act(*arguments)
            world.check()
        for number, client in enumerate(world.clients):
            if client.alive:
                await world.connect(number, "plain-json")  # everybody gets what was theirs
                world.check()
                await world.leave(number, "")
        await clock.advance(2 * WINDOW)
        assert len(server.sessions.directory) == 0
        assert server.statistics().rooms == 0
        assert not server._membership.announcements
        assert len(server._parts.log) == 0


@settings(max_examples=400)
@given(st.lists(OPERATIONS, max_size=60))
@example(
    [
        ("connect", 0, "socketio-json"),
        ("subscribe", 0, "loud:a"),
        ("connect", 2, "plain-json"),
        ("subscribe", 2, "loud:a"),
        ("lose", 0, 2),
        ("emit", 4, "loud:a"),
        ("wait", 20.0),
        ("emit", 4, "loud:a"),
        ("connect", 0, "plain-json"),
    ]
)
def test_any_life(operations: list[tuple[Any, ...]]) -> None:
    anyio.run(live, operations)


@settings(max_examples=50)
@given(st.lists(OPERATIONS, min_size=10, max_size=40))
def test_any_life_on_trio(operations: list[tuple[Any, ...]]) -> None:
    anyio.run(live, operations, backend="trio")
