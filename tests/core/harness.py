"""Clients in memory, at the wire-level port: what they send is bytes, what they get is decoded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, NamedTuple

import anyio
import msgspec
from msgspec import Raw

from lbproto import Context, Event, Plugin, Server
from lbproto.delivery.outbox import Outbox
from lbproto.operations.statistics import OutboxStatistics
from lbproto.testing import AnyToken, VirtualClock
from lbproto.transport import Transport
from lbproto.wire import (
    CLIENT_LEFT,
    CloseCode,
    Frame,
    Inbound,
    Message,
    Peer,
    RequestId,
    Socket,
    WireFormat,
)
from lbproto.wire.arguments import Arguments, JSONArguments, MsgpackArguments, ObjectArguments
from lbproto.wire.msgpack import MsgpackFormat, msgpack_format
from lbproto.wire.plain import PLAIN_JSON, PLAIN_MSGPACK
from lbproto.wire.socketio import json_format

FORMATS: dict[str, WireFormat] = {
    "socketio-json": json_format("/"),
    "socketio-msgpack": msgpack_format("/"),
    "plain-json": PLAIN_JSON,
    "plain-msgpack": PLAIN_MSGPACK,
}

_ACK = 3
_sids = count(1)


class Sent(NamedTuple):
    """One thing a client was sent: an event, or (name "ack") an acknowledgement."""

    name: str
    data: Any
    re: RequestId | None = None


class Hello(Event):
    """A request for `hello`."""


async def hello(ctx: Context, request: Hello) -> Hello:
    """A handler that is not defined where it is registered."""
    return request


class MemorySocket(Socket):
    """A socket with a real outbox and no wire below it."""

    def __init__(
        self,
        format_: WireFormat = FORMATS["socketio-json"],
        *,
        max_frames: int = 1_000,
        max_bytes: int = 1_000_000,
    ) -> None:
        super().__init__(f"sid-{next(_sids)}", "/", Peer(), format_)
        self.overflows = 0
        self.closed_with: list[tuple[CloseCode, str]] = []
        self.disconnects = 0
        self.frames: list[Frame] = []  # everything taken from the outbox so far
        self.outbox = Outbox(max_frames, max_bytes, lambda: None, self._overflowed)

    @property
    def push(self) -> Callable[[Frame], int]:
        return self.outbox.push

    def _overflowed(self) -> None:
        self.overflows += 1

    def disconnect(
        self,
        code: CloseCode = CloseCode.POLICY_VIOLATION,
        reason: str = "disconnected by the server",
    ) -> None:
        self.disconnects += 1

    def close(self, code: CloseCode, reason: str) -> None:
        self.closed_with.append((code, reason))

    def statistics(self) -> OutboxStatistics:
        return self.outbox.statistics()

    async def wait_drained(self) -> None:
        """What was sent is taken by the test, whenever it likes."""

    def take(self) -> list[Sent]:
        """What has been sent since the last call."""
        frames = self.outbox.take()
        self.frames += frames
        return [read(message) for frame in frames for message in frame.messages]


class MemoryTransport(Transport):
    """A websocket in memory.

    Attributes:
        sent: what has arrived.
        closed: how it was closed; None while it is open.
        open: while it is not set, `send` waits: the peer does not read.
    """

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.closed: tuple[CloseCode, str] | None = None
        self.open = anyio.Event()
        self.open.set()

    async def send(self, frames: Sequence[Frame]) -> None:
        await self.open.wait()
        for frame in frames:
            self.sent += frame.messages

    async def close(self, code: CloseCode, reason: str) -> None:
        self.closed = self.closed or (code, reason)


class Client:
    """A program that talks to a `Server`.

    Args:
        server: where to; it runs.
        user: whose token it shows.
        format_: how it reads events.
        bounds: the outbox's `max_frames` and `max_bytes`.
    """

    def __init__(
        self,
        server: Server,
        user: str = "ada",
        format_: WireFormat = FORMATS["socketio-json"],
        **bounds: int,
    ) -> None:
        self.server = server
        self.user = user
        self.socket = MemorySocket(format_, **bounds)

    @property
    def sid(self) -> str:
        return self.socket.sid

    async def connect(self) -> None:
        """Authenticate, and forget the `connected` that answers."""
        await self.server.sessions.authenticate(
            self.socket, ObjectArguments([{"token": self.user}])
        )
        await self.server.sessions.opened(self.socket)
        for sent in self.take():
            assert sent.name == "connected"

    async def send(self, event: str, *arguments: Any, ack: RequestId | None = None) -> None:
        """Send a request, `ack` its id; return when it has been handled."""
        await self.server.sessions.event(self.socket, Inbound(event, self._encode(arguments), ack))

    async def ask(self, event: str, *arguments: Any, ack: RequestId | None = None) -> list[Sent]:
        """Send a request.

        Returns:
            Everything the client was sent until it had been handled.
        """
        await self.send(event, *arguments, ack=ack)
        return self.take()

    def take(self) -> list[Sent]:
        """What has been sent to this client since the last call."""
        return self.socket.take()

    def close(self, reason: str = CLIENT_LEFT) -> None:
        """The socket is over; its outbox stays, so that a test sees what is sent all the same."""
        self.server.sessions.closed(self.socket, reason)

    def _encode(self, values: Iterable[Any]) -> Arguments:
        binary = self.socket.format is PLAIN_MSGPACK or isinstance(
            self.socket.format, MsgpackFormat
        )
        if binary:
            return MsgpackArguments([Raw(msgspec.msgpack.encode(value)) for value in values])
        return JSONArguments([Raw(msgspec.json.encode(value)) for value in values])


def make_server(*plugins: Plugin, **options: Any) -> Server:
    """A server for tests: any token, a clock that stands still."""
    return Server(plugins, auth=AnyToken(), **{"clock": VirtualClock(), **options})


@asynccontextmanager
async def running(*plugins: Plugin, **options: Any) -> AsyncIterator[Server]:
    """`make_server`, running."""
    server = make_server(*plugins, **options)
    async with server.lifespan():
        yield server


async def connected(
    server: Server,
    user: str = "ada",
    format_: WireFormat = FORMATS["socketio-json"],
    **bounds: int,
) -> Client:
    """A client that has just connected."""
    client = Client(server, user, format_, **bounds)
    await client.connect()
    return client


def read(message: Message) -> Sent:
    """What a client of any kind makes of a message."""
    if isinstance(message, str):
        return _read_text(message)
    packet = msgspec.msgpack.decode(message)
    if "event" in packet:
        return Sent(packet["event"], packet["data"], packet.get("re"))
    if packet["type"] == _ACK:
        return Sent("ack", packet["data"][0], packet["id"])
    return _event(packet["data"])


def _read_text(text: str) -> Sent:
    if text.startswith("{"):
        packet = msgspec.json.decode(text)
        return Sent(packet["event"], packet["data"], packet.get("re"))
    body = text.index("[")
    values = msgspec.json.decode(text[body:])
    if text.startswith("43"):
        return Sent("ack", values[0], int(text[2:body]))
    return _event(values)


def _event(values: list[Any]) -> Sent:
    name, data, *offset = values
    assert all(isinstance(last, str) for last in offset)
    return Sent(name, data)
