"""The wire-level port: sockets below authentication and registry, with raw events.

`Server` stands on this port, and a program that wants Socket.IO or Engine.IO itself, with any event
and any arguments, can too: give a `Handler` to `lbproto.asgi.SocketIOApp`, or a `MessageHandler` to
`lbproto.asgi.EngineIOApp`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from lbproto.delivery.turn import Line
from lbproto.frame import Frame, Message
from lbproto.operations.statistics import OutboxStatistics
from lbproto.transport import CloseCode, Peer
from lbproto.wire.arguments import Arguments, Inbound
from lbproto.wire.formats import RequestId, WireFormat

__all__ = [
    "CLIENT_LEFT",
    "SERVER_LEFT",
    "Handler",
    "Inbound",
    "Link",
    "MessageHandler",
    "Refused",
    "Socket",
    "Unavailable",
]

CLIENT_LEFT = "client namespace disconnect"
"""The reason of a socket's end that its client asked for; Socket.IO's own words."""

SERVER_LEFT = "server namespace disconnect"
"""The reason of one that `Socket.disconnect` asked for."""


class Refused(Exception):
    """Raised by `Handler.authenticate`: the client may not connect, and trying again is useless.

    Args:
        message: shown to the client.
        data: more about it; None for nothing.
    """

    def __init__(self, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.data = data


class Unavailable(Exception):
    """Raised by `Handler.authenticate`: the client may not connect now, but is to try again.

    Args:
        message: shown to the client where the wire can.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Socket(ABC):
    """One client's place in one namespace.

    Attributes:
        sid: its id, opaque; the client's own `socket.id`. `Handler.authenticate` may change it.
        pid: the private id by which the client may resume; None at first, for a client that may
            not. `Handler.authenticate` may set it.
        namespace: "/" or "/name"; "" on plain WebSocket.
        peer: who is at the other end.
        format: how this client reads events.
        state: for whoever stands on this port; None at first.
    """

    __slots__ = ("format", "namespace", "peer", "pid", "sid", "state")

    def __init__(self, sid: str, namespace: str, peer: Peer, format_: WireFormat) -> None:
        self.sid = sid
        self.pid: str | None = None
        self.namespace = namespace
        self.peer = peer
        self.format = format_
        self.state: Any = None

    @property
    @abstractmethod
    def push(self) -> Callable[[Frame], int]:
        """Queue a frame for this client without waiting; see `Outbox.push` for what it returns."""

    @property
    def line(self) -> Line | None:
        """The connection's line in a group, if it may be written to with others."""
        return None

    @abstractmethod
    def disconnect(
        self,
        code: CloseCode = CloseCode.POLICY_VIOLATION,
        reason: str = "disconnected by the server",
    ) -> None:
        """End this socket for good, after what is queued; the client does not come back itself.

        Args:
            code: where the socket has a websocket to itself, what that is closed with.
            reason: likewise.
        """

    @abstractmethod
    def close(self, code: CloseCode, reason: str) -> None:
        """Close the transport, after what is queued; the client may come back."""

    @abstractmethod
    async def wait_drained(self) -> None:
        """Wait until the transport has taken everything that is queued, or is gone."""

    @abstractmethod
    def statistics(self) -> OutboxStatistics:
        """What waits to be sent over its connection, and what was lost there."""

    def emit(self, event: str, *arguments: Any) -> None:
        """Send an event: structs, plain values, and bytes as binary attachments."""
        self.push(self.format.event(event, arguments))

    def acknowledge(self, request: RequestId, *arguments: Any) -> None:
        """Answer a request that asked for an acknowledgement, once."""
        self.push(self.format.acknowledgement(request, arguments))


class Handler(Protocol):
    """What a program does with sockets. One socket's calls never overlap and come in order."""

    async def authenticate(self, socket: Socket, auth: Arguments) -> None:
        """A client asks to connect; returning lets it in.

        Args:
            auth: the object that the client sent along, as the first argument.

        Raises:
            Refused: it may not.
            Unavailable: it may not now; its transport is closed.
        """
        ...

    async def opened(self, socket: Socket) -> None:
        """The client has been told that it is connected."""
        ...

    def event(self, socket: Socket, inbound: Inbound) -> Coroutine[Any, Any, None]:
        """The client sent an event (`async def` will do). What it raises closes the transport."""
        ...

    def acknowledged(self, socket: Socket, request: int, arguments: Arguments) -> None:
        """The client acknowledges an event that it was asked to."""
        ...

    def closed(self, socket: Socket, reason: str) -> None:
        """The socket is gone, told once for each that was opened. What this raises is logged."""
        ...


class Link(Protocol):
    """One Engine.IO connection, for a program that wants messages instead of Socket.IO."""

    @property
    def peer(self) -> Peer:
        """The peer of the connection."""
        ...

    def send(self, *messages: Message) -> int:
        """Queue messages without waiting; see `Outbox.push` for what it returns."""
        ...

    def close(self, code: CloseCode, reason: str) -> None:
        """Close the connection, after what is queued."""
        ...


class MessageHandler(Protocol):
    """What a program does with one Engine.IO connection's messages."""

    def message(self, data: Message) -> None:
        """A message came.

        Raises:
            ProtocolError: it makes no sense; the connection is closed. So it is, and the error is
                logged, when anything else is raised.
        """
        ...

    def closed(self, reason: str) -> None:
        """The connection is gone. What this raises is logged."""
        ...
