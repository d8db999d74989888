"""Any order of what is sent to rooms and to users, of pauses, joins, losses and ends of turns: each
client gets its own, once, in the order it was sent; with transports that take bytes at once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lbproto import Context, Event, Plugin, Server
from lbproto.connection.base import Connection
from lbproto.connection.engineio import EngineConnection
from lbproto.connection.plain import PlainConnection
from lbproto.connection.socketio import SocketIO
from lbproto.frame import Message
from lbproto.testing import settle
from lbproto.transport import CloseCode, Peer
from lbproto.wire import Settings
from lbproto.wire.plain import SUBPROTOCOLS
from tests.core.harness import running
from tests.wire.swift import SwiftTransport

CLIENTS = 8  # enough for groups of both wires, with some of them out of step
ROOMS = ["a", "b"]
ROOMY = Settings(max_queued_bytes=50_000_000)  # nobody is too slow here


class Numbered(Event):
    number: int
    filling: str = ""


def rooms() -> Plugin:
    plugin = Plugin("rooms")
    plugin.emits(Numbered)

    @plugin.room("{name}", announce=False)
    async def room(ctx: Context, name: str) -> None:
        pass

    return plugin


@dataclass
class Client:
    """A connection, and what its client is to get."""

    user: str
    connection: Connection
    transport: SwiftTransport
    socketio: bool
    sid: str = ""
    inside: set[str] = field(default_factory=set)
    due: list[int] = field(default_factory=list)
    got: list[int] = field(default_factory=list)
    over: bool = False

    async def say(self, event: str, data: object) -> None:
        body = msgspec.json.encode(data).decode()
        message = (
            f'42["{event}",{body}]' if self.socketio else f'{{"event":"{event}","data":{body}}}'
        )
        self.connection.receive(message)
        await settle()

    def read(self) -> None:
        for message in self.transport.take():
            name, data = _parse(message)
            if name == "numbered":
                self.got.append(data["number"])
            elif name == "connected":
                self.sid = data["sid"]


def _parse(message: Message) -> tuple[str, Any]:
    text = message if isinstance(message, str) else message.decode()
    if text.startswith("{"):
        frame = msgspec.json.decode(text)
        return frame.get("event", ""), frame.get("data")
    if text.startswith("42"):
        name, data, *_ = msgspec.json.decode(text[2:])
        return name, data
    return "", None


class World:
    def __init__(self, server: Server) -> None:
        self.server = server
        self.clients: list[Client] = []
        self.sent = 0

    async def populate(self) -> None:
        for number in range(CLIENTS):
            client = self.connect(f"user-{number}", socketio=number % 2 == 0)
            await settle()
            if client.socketio:
                client.connection.receive(f'40{{"token":"{client.user}"}}')
            else:
                client.connection.receive(
                    f'{{"event":"authenticate","data":{{"token":"{client.user}"}}}}'
                )
            await settle()
            client.read()
            assert client.sid
            for room in ROOMS if number % 3 else ROOMS[:1]:
                await self.join(number, room)

    def connect(self, user: str, *, socketio: bool) -> Client:
        server, transport = self.server, SwiftTransport()
        connection: Connection
        if socketio:
            connection = EngineConnection(
                server.runtime,
                Peer(),
                lambda engine: SocketIO(engine, server.sessions, server.namespaces),
                transport,
            )
        else:
            format_ = SUBPROTOCOLS["lbproto.v1.json"]
            connection = PlainConnection(
                server.runtime, Peer(), transport, server.sessions, format_, None
            )
        client = Client(user, connection, transport, socketio)
        self.clients.append(client)
        return client

    # Operations

    def emit(self, room: str, but: int | None = None, filling: int = 0) -> None:
        self.sent += 1
        excepted = None if but is None else self.clients[but]
        receipt = self.server.to(room, except_=[excepted.sid] if excepted else []).emit(
            Numbered(number=self.sent, filling="x" * filling)
        )
        audience = [c for c in self.clients if room in c.inside and c is not excepted]
        for client in audience:
            client.due.append(self.sent)
        assert receipt.matched == len(audience)

    def tell(self, who: int) -> None:
        self.sent += 1
        client = self.clients[who]
        self.server.to_user(client.user).emit(Numbered(number=self.sent))
        if not client.over:
            client.due.append(self.sent)

    async def join(self, who: int, room: str) -> None:
        client = self.clients[who]
        if not client.over:
            await client.say("subscribe", {"room": room})
            client.inside.add(room)

    async def leave(self, who: int, room: str) -> None:
        client = self.clients[who]
        if not client.over:
            await client.say("unsubscribe", {"room": room})
            client.inside.discard(room)

    def pause(self, who: int) -> None:
        self.clients[who].transport.pause()

    def resume(self, who: int) -> None:
        self.clients[who].transport.resume()

    def lose(self, who: int) -> None:
        """The network is gone; what was sent in this turn may not have arrived."""
        client = self.clients[who]
        client.over = True
        client.inside.clear()
        client.transport.drop()
        client.connection.lost("transport close")

    async def turn(self) -> None:
        await settle()

    def check(self) -> None:
        for client in self.clients:
            client.read()
            assert client.got == client.due[: len(client.got)]


who = st.integers(0, CLIENTS - 1)
room = st.sampled_from(ROOMS)
OPERATIONS = st.one_of(
    st.tuples(st.just("emit"), room),
    st.tuples(st.just("emit"), room, who),
    st.tuples(st.just("emit"), room, st.none(), st.sampled_from([100, 40_000, 70_000])),
    st.tuples(st.just("tell"), who),
    st.tuples(st.just("turn")),
    st.tuples(st.just("join"), who, room),
    st.tuples(st.just("leave"), who, room),
    st.tuples(st.just("pause"), who),
    st.tuples(st.just("resume"), who),
    st.tuples(st.just("lose"), who),
)


@asynccontextmanager
async def inhabited() -> AsyncIterator[World]:
    async with running(rooms(), settings=ROOMY, recovery=None) as server:
        world = World(server)
        try:
            await world.populate()
            yield world
        finally:  # or the server would wait for them, on a clock that stands still
            for client in world.clients:
                client.connection.lost("the test is over")


async def live(operations: list[tuple[Any, ...]]) -> None:
    async with inhabited() as world:
        for name, *arguments in operations:
            result = getattr(world, name)(*arguments)
            if result is not None:
                await result
            world.check()
        for number in range(CLIENTS):
            world.resume(number)
        await world.turn()
        world.check()
        for client in world.clients:
            assert client.over or client.got == client.due


@settings(max_examples=250)
@given(st.lists(OPERATIONS, max_size=60))
@example(
    [
        ("emit", "a"),
        ("tell", 1),
        ("emit", "b"),
        ("pause", 2),
        ("emit", "a", None, 70_000),
        ("emit", "b", 4),
        ("turn",),
        ("emit", "a"),
        ("leave", 3, "b"),
        ("emit", "b"),
        ("resume", 2),
    ]
)
def test_each_gets_its_own_once_and_in_order(operations: list[tuple[Any, ...]]) -> None:
    anyio.run(live, operations)


@settings(max_examples=50)
@given(st.lists(OPERATIONS, min_size=10, max_size=40))
def test_the_same_on_trio(operations: list[tuple[Any, ...]]) -> None:
    anyio.run(live, operations, backend="trio")


async def fill() -> None:
    async with inhabited() as world:
        for _ in range(3):
            world.emit("a", filling=40_000)
        world.check()
        assert [len(client.got) for client in world.clients] == [2] * CLIENTS
        await world.turn()
        world.check()
        assert [len(client.got) for client in world.clients] == [3] * CLIENTS


def test_what_a_room_holds_until_the_turn_ends_is_bounded() -> None:
    anyio.run(fill)


async def end() -> None:
    async with inhabited() as world:
        leaver = world.clients[1]
        world.emit("a")
        leaver.connection.close(CloseCode.GOING_AWAY, "that is all")
        world.emit("a")
        await world.turn()
        world.check()
        assert leaver.got[0] == 1
        assert leaver.transport.closed == (CloseCode.GOING_AWAY, "that is all")
        assert all(client.got == [1, 2] for client in world.clients if client is not leaver)


def test_who_is_closed_gets_first_what_was_sent_before() -> None:
    anyio.run(end)
