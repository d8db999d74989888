"""Ten thousand clients come and go, on every wire and in every way: nothing stays behind."""

from __future__ import annotations

import gc
import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from anyio.lowlevel import checkpoint

from lbproto import Context, Event, Plugin, Recovery, Server
from lbproto.backends.memory import MemoryPubSub
from lbproto.connection.base import Connection
from lbproto.connection.engineio import EngineConnection
from lbproto.connection.plain import PlainConnection
from lbproto.connection.socketio import SocketIO
from lbproto.delivery.outbox import Outbox
from lbproto.frame import Frame
from lbproto.registry import RESERVED
from lbproto.sessions.session import Session
from lbproto.testing import VirtualClock, settle
from lbproto.wire import CloseCode, Message, Peer, Socket
from lbproto.wire.plain import PLAIN_JSON
from tests.core.harness import MemoryTransport, make_server

pytestmark = pytest.mark.anyio

CYCLES = 10_000
TRIMMED = 11.0  # seconds after which the log has let go what is older than the window


class Greeting(Event):
    text: str


def lobby() -> Plugin:
    plugin = Plugin("lobby")

    @plugin.room("lobby")
    async def join(ctx: Context) -> Greeting:
        return Greeting(text=f"welcome {ctx.user_id}")

    return plugin


def packet(type_: int, data: object = None) -> bytes:
    return msgspec.msgpack.encode({"type": type_, "nsp": "/", "data": data})


def engine(server: Server) -> EngineConnection:
    def open_handler(connection: EngineConnection) -> SocketIO:
        return SocketIO(connection, server.sessions, server.namespaces)

    return EngineConnection(server.runtime, Peer(), open_handler, MemoryTransport())


async def say(connection: Connection, *messages: Message) -> None:
    for message in messages:
        connection.receive(message)
        await connection.work()


async def socketio_json(server: Server, user: str) -> Connection:
    connection = engine(server)
    await say(connection, f'40{{"token":"{user}"}}', '420["subscribe",{"room":"lobby"}]')
    return connection


async def socketio_msgpack(server: Server, user: str) -> Connection:
    connection = engine(server)
    subscribe = packet(2, ["subscribe", {"room": "lobby"}])
    await say(connection, packet(0, {"token": user}), subscribe)
    return connection


async def plain(server: Server, user: str) -> Connection:
    connection = PlainConnection(
        server.runtime, Peer(), MemoryTransport(), server.sessions, PLAIN_JSON, user
    )
    await say(connection, '{"event":"subscribe","data":{"room":"lobby"},"id":1}')
    return connection


WIRES = [socketio_json, socketio_msgpack, plain]


def lost(connection: Connection) -> None:
    connection.lost("transport close")


def closed_by_us(connection: Connection) -> None:
    connection.close(CloseCode.NORMAL, "bye")


def broken_protocol(connection: Connection) -> None:
    connection.fail(CloseCode.PROTOCOL_ERROR, "nonsense")


def too_slow(connection: Connection) -> None:
    connection.push(Frame(bytes(10_000_000)))
    connection.push(Frame(bytes(10_000_000)))


def left_the_room(connection: Connection) -> None:
    connection.receive(
        '{"event":"unsubscribe","data":{"room":"lobby"}}'
        if isinstance(connection, PlainConnection)
        else "1"  # Engine.IO: close
    )
    connection.lost("transport close")


ENDS: list[Callable[[Connection], None]] = [
    lost,
    closed_by_us,
    broken_protocol,
    too_slow,
    left_the_room,
]


async def cycle(server: Server, number: int) -> None:
    user = f"user-{number % 50}"
    connection = await WIRES[number % len(WIRES)](server, user)
    await checkpoint()  # the writer's turn
    ENDS[number % len(ENDS)](connection)
    if number % 25 == 0:
        await settle()


def census() -> tuple[int, dict[int, object]]:
    """How many objects the collector tracks, and those of ours that should be gone, by id."""
    gc.collect()  # and no isinstance: abstract classes remember what they were asked about
    objects = gc.get_objects()
    ours = {Connection, SocketIO, Session, Socket, Outbox, Frame, MemoryTransport}
    return len(objects), {
        id(each): each for each in objects if not ours.isdisjoint(type(each).__mro__)
    }


async def test_ten_thousand_clients_leave_nothing_behind(
    anyio_backend: tuple[str, dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "asyncio")  # a census is slow, and saying so costs objects
    # All of them on the quickest loop; what keeps an object alive does so on any.
    cycles = CYCLES if anyio_backend[1].get("use_uvloop") else CYCLES // 10
    warm_up = cycles // 10
    _, before = census()  # what other tests have left is kept: no other gets its id
    clock, pubsub = VirtualClock(), MemoryPubSub()
    recovery = Recovery(max_away=100)
    server = make_server(lobby(), clock=clock, pubsub=pubsub, recovery=recovery)
    runtime = server.runtime
    most_timers = 0
    async with server.lifespan():
        watcher = await plain(server, "watcher")
        for number in range(warm_up):
            await cycle(server, number)
        await clock.advance(recovery.window + recovery.grace + TRIMMED)
        watcher.outbox.take()
        tracked, _ = census()
        for number in range(cycles):
            await cycle(server, number)
            most_timers = max(most_timers, len(runtime.timers))
        assert server.sessions.away == recovery.max_away
        await clock.advance(recovery.window + recovery.grace + TRIMMED)
        watcher.outbox.take()
        tracked_later, living = census()
        assert runtime.connections == {watcher}
        assert Counter(type(living[id_]).__name__ for id_ in living.keys() - before) == {
            "PlainConnection": 1,
            "_PlainSocket": 1,
            "Session": 1,
            "Outbox": 1,
            "MemoryTransport": 1,
        }
        assert tracked_later - tracked < cycles / 100
        assert most_timers <= 1_100, "cancelled timers pile up"
        assert server._membership.count("lobby") == 1
        assert len(server._membership.announcements["lobby"]) == 1
        watcher.lost("transport close")
        await settle()
        assert not runtime.connections
        assert not runtime.engines
        await clock.advance(recovery.window + recovery.grace + TRIMMED)
        assert len(server.sessions.directory) == 0
        assert len(server._parts.log) == 0
        assert len(server._membership._rooms) == 0
        assert not server._membership._rooms._of
        assert not server._membership.announcements
        assert all(channel.startswith(RESERVED) for channel in pubsub._channels)
        assert len(runtime.timers) == 0
