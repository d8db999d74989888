"""What the wire tests share: a transport in memory, a program on the port, and a running server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio

from lbproto.asgi.engineio import EngineEndpoint
from lbproto.connection.engineio import EngineConnection
from lbproto.connection.plain import PlainConnection
from lbproto.connection.runtime import Runtime
from lbproto.connection.socketio import SocketIO
from lbproto.frame import Frame, Message
from lbproto.testing import VirtualClock, settle
from lbproto.transport import CloseCode, Peer, Transport
from lbproto.wire import Arguments, Inbound, Refused, Settings, Socket
from lbproto.wire.plain import PLAIN_JSON, PlainFormat

NAMESPACES = frozenset({"/", "/ws", "/third"})


class MemoryTransport(Transport):
    """Keeps what it is sent.

    Attributes:
        messages: what has arrived, in order.
        closed: how it was closed; None while it is open.
        failure: raised by the next `send`.
        sends: how many calls of `send` there were.
    """

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.closed: tuple[CloseCode, str] | None = None
        self.failure: Exception | None = None
        self.sends = 0
        self._paused: anyio.Event | None = None

    @property
    def is_open(self) -> bool:
        """Whether it has not been closed."""
        return self.closed is None

    def pause(self) -> None:
        """The peer stops reading: `send` waits."""
        self._paused = anyio.Event()

    def resume(self) -> None:
        """The peer reads again."""
        assert self._paused is not None
        self._paused.set()
        self._paused = None

    async def send(self, frames: Sequence[Frame]) -> None:
        self.sends += 1
        for frame in frames:
            if self._paused is not None:
                await self._paused.wait()
            if self.failure is not None:
                raise self.failure
            self.messages.extend(frame.messages)

    async def close(self, code: CloseCode, reason: str) -> None:
        if self.closed is None:
            self.closed = code, reason

    def take(self) -> list[Message]:
        """What has arrived since the last call."""
        taken, self.messages = self.messages, []
        return taken


class Program:
    """A wire-level handler for tests; the names of events say what it does.

    `echo` answers with what came, `slow` waits for `release()`, `fail` raises, `leave` ends the
    socket, `close` the transport. The auth `{"token": "bad"}` is refused, `"slow"` waits, `"fail"`
    raises.

    Attributes:
        log: what it was told, in order.
        sockets: those that are open, by namespace.
        running: how many handlers run now.
    """

    def __init__(self) -> None:
        self.log: list[tuple[Any, ...]] = []
        self.sockets: dict[str, Socket] = {}
        self.running = 0
        self._released: anyio.Event | None = None

    def release(self) -> None:
        """Let everything slow go on."""
        assert self._released is not None
        self._released.set()
        self._released = None

    @property
    def waits(self) -> bool:
        """Whether something slow waits for `release()`."""
        return self._released is not None

    async def _wait(self) -> None:
        if self._released is None:
            self._released = anyio.Event()
        await self._released.wait()

    async def authenticate(self, socket: Socket, auth: Arguments) -> None:
        token = auth.first(dict).get("token")
        if token == "slow":
            await self._wait()
        if token == "fail":
            raise ValueError("authenticating failed")
        if token == "bad":
            raise Refused("who are you?", {"code": "UNAUTHORIZED"})
        if token == "worse":
            raise Refused("go away")

    async def opened(self, socket: Socket) -> None:
        self.log.append(("opened", socket.namespace))
        self.sockets[socket.namespace] = socket
        socket.emit("welcome")

    async def event(self, socket: Socket, inbound: Inbound) -> None:
        self.running += 1
        try:
            await self._event(socket, inbound)
        finally:
            self.running -= 1

    async def _event(self, socket: Socket, inbound: Inbound) -> None:
        self.log.append((inbound.name, socket.namespace))
        if inbound.name == "slow":
            await self._wait()
        elif inbound.name == "fail":
            raise ValueError("the handler failed")
        elif inbound.name == "leave":
            socket.disconnect()
        elif inbound.name == "close":
            socket.close(CloseCode.SERVICE_RESTART, "as asked")
        if inbound.id is not None:
            socket.acknowledge(inbound.id, *inbound.arguments.values())
        elif inbound.name in ("echo", "slow"):
            socket.emit(inbound.name, *inbound.arguments.values())

    def acknowledged(self, socket: Socket, request: int, arguments: Arguments) -> None:
        self.log.append(("acknowledged", socket.namespace, request, arguments.values()))

    def closed(self, socket: Socket, reason: str) -> None:
        self.log.append(("closed", socket.namespace, reason))
        del self.sockets[socket.namespace]


@asynccontextmanager
async def running(
    settings: Settings | None = None, clock: VirtualClock | None = None
) -> AsyncIterator[Runtime]:
    """A server's runtime on a fake clock; afterwards nothing is left in it."""
    runtime = Runtime(settings or Settings(), clock or VirtualClock())
    async with runtime.run():
        try:
            yield runtime
        finally:
            # Nobody is waited for: a test that fails must not hang on a clock that stands still.
            for connection in list(runtime.connections):
                connection.lost("the test is over")
    assert not runtime.connections
    assert not runtime.engines


class Client:
    """One connection at object level, and what its peer sees.

    Attributes:
        connection: the connection.
        transport: its websocket.
        program: what stands on it.
    """

    def __init__(
        self, connection: EngineConnection | PlainConnection, transport: MemoryTransport
    ) -> None:
        self.connection = connection
        self.transport = transport

    async def send(self, *messages: Message) -> None:
        """Have the peer send messages, and let each be handled before the next."""
        for message in messages:
            self.send_nowait(message)
            await settle()

    def send_nowait(self, *messages: Message) -> None:
        """Have the peer send messages in one go."""
        for message in messages:
            self.connection.deliver(message)

    async def ask(self, *messages: Message) -> list[Message]:
        """The same; returns what the peer is sent meanwhile."""
        self.transport.take()
        await self.send(*messages)
        return self.transport.take()


def engine_client(runtime: Runtime, program: Program, peer: Peer | None = None) -> Client:
    """A Socket.IO client on a websocket."""
    transport = MemoryTransport()

    def open_handler(connection: EngineConnection) -> SocketIO:
        return SocketIO(connection, program, NAMESPACES)

    connection = EngineConnection(runtime, peer or Peer(), open_handler, transport)
    return Client(connection, transport)


def polling_client(runtime: Runtime, program: Program) -> EngineConnection:
    """A Socket.IO client that polls."""
    return EngineConnection(
        runtime, Peer(), lambda connection: SocketIO(connection, program, NAMESPACES)
    )


def engine_edge(
    runtime: Runtime, program: Program, allowed_origins: Sequence[str] = ("*",)
) -> EngineEndpoint:
    """The ASGI app that serves a program over Engine.IO."""
    return EngineEndpoint(
        runtime, lambda connection: SocketIO(connection, program, NAMESPACES), allowed_origins
    )


def plain_client(
    runtime: Runtime,
    program: Program,
    token: str | None = None,
    format_: PlainFormat = PLAIN_JSON,
) -> Client:
    """A plain WebSocket client."""
    transport = MemoryTransport()
    connection = PlainConnection(runtime, Peer(), transport, program, format_, token)
    return Client(connection, transport)
