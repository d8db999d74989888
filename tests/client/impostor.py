"""Servers that send what they like."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import msgspec
from anyio.abc import SocketStream

from lbproto.asgi.handshake import acceptance, read_handshake
from lbproto.frame import frame_of, message_frame
from tests.client.kit import port_of

__all__ = ["CONNECTED", "OPEN", "Peer", "impostor", "raw"]

CONNECTED = {"userId": "ada", "sid": "s", "timestamp": "2026-01-20T12:00:00.000Z", "pid": "p"}
OPEN = {"sid": "e", "upgrades": [], "pingInterval": 25_000, "pingTimeout": 20_000}

_GONE = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)


@asynccontextmanager
async def raw(handle: Callable[[SocketStream], Awaitable[None]]) -> AsyncIterator[str]:
    """Serve TCP connections by a function; the address."""

    async def serve(stream: SocketStream) -> None:
        async with stream:
            with suppress(*_GONE):
                await handle(stream)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    with anyio.fail_after(60):
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, serve)
            yield f"ws://127.0.0.1:{port_of(listener)}"
            tasks.cancel_scope.cancel()


class Peer:
    """A client, as an impostor has it."""

    def __init__(self, stream: SocketStream) -> None:
        self._stream = stream
        self._unread = b""

    async def raw(self, data: bytes) -> None:
        """Send whatever."""
        await self._stream.send(data)

    async def text(self, *texts: str) -> None:
        """Send messages."""
        for text in texts:
            await self._stream.send(frame_of(text.encode()).data)

    async def binary(self, data: bytes) -> None:
        """Send a message."""
        await self._stream.send(message_frame(data))

    async def event(self, name: str, data: Any, **more: Any) -> None:
        """Send an event in JSON over plain WebSocket."""
        await self.text(msgspec.json.encode({"event": name, "data": data, **more}).decode())

    async def read(self) -> bytes:
        """The next message."""
        head = await self._take(2)
        length = head[1] & 0x7F
        if length == 126:
            length = int.from_bytes(await self._take(2))
        mask, masked = await self._take(4), await self._take(length)
        return bytes(byte ^ mask[number % 4] for number, byte in enumerate(masked))

    async def _take(self, size: int) -> bytes:
        while len(self._unread) < size:
            self._unread += await self._stream.receive()
        taken, self._unread = self._unread[:size], self._unread[size:]
        return taken

    async def wait_closed(self) -> None:
        """Read until the client has gone."""
        while True:
            await self._stream.receive()


@asynccontextmanager
async def impostor(
    script: Callable[[Peer], Awaitable[None]], *, headers: list[tuple[bytes, bytes]] | None = None
) -> AsyncIterator[str]:
    """Serve websockets by a function, after which nothing is said, but read to the end.

    Args:
        script: what is done with each.
        headers: of the handshake, instead of those that agree on the subprotocol.
    """

    async def handle(stream: SocketStream) -> None:
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            request += await stream.receive()
        handshake = read_handshake(request)
        assert handshake is not None
        agreed = [(b"Sec-WebSocket-Protocol", name.encode()) for name in handshake.subprotocols]
        await stream.send(acceptance(handshake, agreed if headers is None else headers))
        peer = Peer(stream)
        await script(peer)
        await peer.wait_closed()

    async with raw(handle) as url:
        yield url
