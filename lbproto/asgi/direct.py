"""Websockets by a server that offers more than ASGI: frames written as they are, no task switches.

A server's frames are not masked, so an event for a thousand clients is one byte string; ASGI has
each of them framed anew. And ASGI hands over one message per wake-up of a task, where the server
could call us with each. `lbproto.asgi.uvicorn` offers both, as an extension of the scope.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from lbproto.asgi.types import Receive, Scope, Send
from lbproto.asgi.websocket import WebSocketTransport
from lbproto.connection.base import Connection
from lbproto.frame import Frame, Message
from lbproto.transport import CloseCode

__all__ = [
    "EXTENSION",
    "Direct",
    "DirectTransport",
    "Listener",
    "open_websocket",
]

EXTENSION = "lbproto.direct"

_MAX_UNREAD = 32  # messages told and not received yet, before reading pauses


class Listener(Protocol):
    """Callbacks for what happens to a websocket, in place of ASGI's `receive`."""

    @property
    def message(self) -> Callable[[Message], None]:
        """Takes what the peer has sent."""
        ...

    def closed(self, code: int) -> None:
        """The websocket is over: the peer has closed it with this code, or is gone (1006)."""
        ...

    def paused(self) -> None:
        """The peer reads slower than we write: write nothing until `resumed`."""
        ...

    def resumed(self) -> None:
        """Write again."""
        ...


class Direct(Protocol):
    """A server's own way to one websocket; the extension's value in the scope."""

    def write(self, data: bytes) -> None:
        """Write frames; never waits."""
        ...

    def buffered(self) -> int:
        """Bytes that were written and that the peer has not taken."""
        ...

    def listen(self, listener: Listener) -> None:
        """From here on tell `listener` everything, beginning with what nobody has received yet."""
        ...

    def pause_reading(self) -> None:
        """Read and tell nothing more for now."""
        ...

    def resume_reading(self) -> None:
        """Read again; what has been read already is told at once."""
        ...


def open_websocket(scope: Scope, receive: Receive, send: Send) -> WebSocketTransport:
    """The best way to a websocket that its server offers, once it is accepted."""
    direct: Direct | None = scope.get("extensions", {}).get(EXTENSION)
    if direct is None:
        return WebSocketTransport(receive, send)
    return DirectTransport(receive, send, direct)


class DirectTransport(WebSocketTransport):
    """Writes frames that were encoded once; is told messages.

    Until it serves a connection, messages wait for `receive`.
    """

    __slots__ = (
        "_direct",
        "_resumed",
        "_unread",
        "_wake",
        "message",
        "ready",
        "unready",
        "write",
    )

    def __init__(self, receive: Receive, send: Send, direct: Direct) -> None:
        super().__init__(receive, send)
        self._direct = direct
        self.write = direct.write
        self.message: Callable[[Message | int], None] = self._keep
        self._unread: list[Message | int] = []  # few, and nearly always none
        self._wake: asyncio.Future[None] | None = None  # what `receive` waits by
        self._resumed: asyncio.Future[None] | None = None  # what `send` waits by
        self.ready = True
        self.unready = super().unready
        direct.listen(self)

    # Outbound

    async def send(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            while self._open and not self.ready:
                if self._resumed is None or self._resumed.done():
                    self._resumed = asyncio.get_running_loop().create_future()
                await asyncio.shield(self._resumed)
            if not self._open:
                raise ConnectionResetError("the websocket has been closed")
            try:
                self.write(frame.data)
            except RuntimeError as error:  # uvloop's word for a peer that is gone
                raise ConnectionResetError(str(error)) from error

    def buffered(self) -> int:
        return self._direct.buffered()

    async def close(self, code: CloseCode, reason: str) -> None:
        self._end()
        await super().close(code, reason)

    def lost(self) -> None:
        super().lost()
        self._end()

    def _end(self) -> None:
        self.paused()
        _settle(self._resumed)

    def paused(self) -> None:
        self.ready = False
        self.unready()

    def resumed(self) -> None:
        self.ready = self._open
        _settle(self._resumed)

    # Inbound

    async def _serve(self, connection: Connection) -> None:
        self.message = connection.deliver
        over = asyncio.get_running_loop().create_future()
        connection.when_closed(partial(_settle, over))
        connection.flush_soon()  # with the answer to the handshake, in one packet
        had_paused = len(self._unread) >= _MAX_UNREAD
        while self._unread:
            connection.deliver(self._unread.pop(0))
        if had_paused and not connection.congested:  # else the connection does it in its time
            self._direct.resume_reading()
        await over

    def pause_reading(self) -> None:
        self._direct.pause_reading()

    def resume_reading(self) -> None:
        self._direct.resume_reading()

    async def receive(self) -> Message | int:
        while not self._unread:
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake
        received = self._unread.pop(0)
        if len(self._unread) == _MAX_UNREAD - 1:
            self._direct.resume_reading()
        return received

    def _keep(self, received: Message | int) -> None:
        self._unread.append(received)
        _settle(self._wake)
        if len(self._unread) == _MAX_UNREAD:
            self._direct.pause_reading()

    def closed(self, code: int) -> None:
        self.message(code)
        self.lost()


def _settle(future: asyncio.Future[Any] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)
