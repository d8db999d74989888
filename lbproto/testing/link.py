"""A connection in memory: the real machinery of the server, and a peer that is a test."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

import anyio

from lbproto.connection.base import Connection
from lbproto.connection.engineio import EngineConnection
from lbproto.connection.plain import PlainConnection
from lbproto.connection.socketio import SocketIO
from lbproto.errors import Overloaded
from lbproto.frame import Frame, Message
from lbproto.server import Server
from lbproto.testing.codecs import Wire
from lbproto.transport import CloseCode, Peer, Transport
from lbproto.wire.plain import SUBPROTOCOLS

__all__ = ["ABNORMAL", "Link"]

ABNORMAL = 1006
"""What a websocket's end is called that nobody announced."""


class Link(Transport):
    """One connection to a server that runs.

    Args:
        server: where to.
        wire: what is spoken.
        receive: called with each message from the server.
        closed: called when the server closes the connection.

    Raises:
        UsageError: the server does not run.
        Overloaded: it takes no new connections.
    """

    def __init__(
        self,
        server: Server,
        wire: Wire,
        receive: Callable[[Message], None],
        closed: Callable[[CloseCode, str], None],
    ) -> None:
        server.runtime.check_running()
        if not server.runtime.accepting:
            raise Overloaded("the server takes no new connections now")
        self._receive = receive
        self._closed = closed
        self._paused: anyio.Event | None = None  # set when the peer reads again
        self._unsent: deque[Message | int] = deque()  # a number closes, with that code
        self._sending = False
        self._open = True
        self._connection = _connection(server, wire, self)

    # The server's side: the transport

    async def send(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            for message in frame.messages:
                if self._paused is not None:
                    await self._paused.wait()
                if not self._open:
                    raise ConnectionResetError("the client is gone")
                self._receive(message)

    async def close(self, code: CloseCode, reason: str) -> None:
        if self._open:
            self._end()
            self._closed(code, reason)

    # The client's side

    def say(self, *messages: Message) -> None:
        """Send messages, in order, as fast as the server reads."""
        self._send_soon(*messages)

    def leave(self) -> None:
        """Close the websocket after what has been sent, as somebody who means to."""
        self._send_soon(CloseCode.NORMAL)

    def lose(self) -> None:
        """Be gone without a word."""
        if self._open:
            self._end()
            self._connection.left(ABNORMAL)

    def pause(self) -> None:
        """Stop reading: the server's sends wait."""
        if self._paused is None:
            self._paused = anyio.Event()

    def resume(self) -> None:
        """Read again."""
        if self._paused is not None:
            self._paused.set()
            self._paused = None

    def _end(self) -> None:
        self._open = False
        self._unsent.clear()
        self.resume()

    def _send_soon(self, *messages: Message | int) -> None:
        if not self._open:
            return
        self._unsent.extend(messages)
        if not self._sending:
            self._sending = True
            self._connection.runtime.start_soon(self._send)

    async def _send(self) -> None:
        connection = self._connection
        while self._unsent:
            if connection.congested:
                await connection.wait_ready()
                continue
            message = self._unsent.popleft()
            if isinstance(message, int):
                self._end()
            connection.deliver(message)
        self._sending = False


def _connection(server: Server, wire: Wire, transport: Transport) -> Connection:
    peer = Peer(address="127.0.0.1:1")
    kind, _, encoding = wire.partition("-")
    if kind == "plain":
        format_ = SUBPROTOCOLS[f"lbproto.v1.{encoding}"]
        return PlainConnection(server.runtime, peer, transport, server.sessions, format_, None)
    sockets = partial(SocketIO, handler=server.sessions, namespaces=server.namespaces)
    return EngineConnection(server.runtime, peer, sockets, transport)
