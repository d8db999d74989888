"""Clients in Python: plain WebSocket by the `websockets` library, and Engine.IO by hand."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from secrets import token_hex
from typing import Any, Self

import anyio
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close
from websockets.typing import Origin, Subprotocol

from tests.serving import ServerProcess

__all__ = ["JSON", "MSGPACK", "PlainClient", "RawClient", "inspect", "still_serving", "until_state"]

JSON = "lbproto.v1.json"
MSGPACK = "lbproto.v1.msgpack"
SECONDS = 60

Frame = dict[str, Any]


class _Client:
    def __init__(self, websocket: ClientConnection) -> None:
        self.websocket = websocket

    async def closed(self) -> tuple[int, str]:
        """Wait until the server has closed; whatever still comes is passed over.

        Returns:
            Its code and reason; 1006 where the transport went without a close frame.
        """
        close: Close | None = None
        with anyio.fail_after(SECONDS):
            try:
                while True:
                    await self.websocket.recv()
            except ConnectionClosed as closed:
                close = closed.rcvd
        return (1006, "") if close is None else (close.code, close.reason)


class PlainClient(_Client):
    """lbproto's own protocol on plain WebSocket."""

    def __init__(self, websocket: ClientConnection, *, msgpack: bool = False) -> None:
        super().__init__(websocket)
        self._codec: Any = msgspec.msgpack if msgpack else msgspec.json
        self._text = not msgpack
        self._ids = count(1)

    async def send(self, event: str, data: Any = None, **more: Any) -> None:
        """Send a frame; `more` are its other members."""
        message = self._codec.encode({"event": event, "data": data, **more})
        await self.websocket.send(message.decode() if self._text else message)

    async def next(self) -> Frame:
        """The next frame."""
        with anyio.fail_after(SECONDS):
            message = await self.websocket.recv()
        assert isinstance(message, str) is self._text
        frame: Frame = self._codec.decode(message)
        return frame

    async def until(self, event: str) -> Any:
        """The payload of the next such event."""
        with anyio.fail_after(SECONDS):
            while True:
                frame = await self.next()
                if frame["event"] == event:
                    return frame["data"]

    async def call(self, event: str, data: Any = None) -> Frame:
        """Send a request and wait for the first frame that answers it."""
        number = next(self._ids)
        await self.send(event, data, id=number)
        with anyio.fail_after(SECONDS):
            while True:
                frame = await self.next()
                if frame.get("re") == number:
                    return frame

    @classmethod
    @asynccontextmanager
    async def connecting(
        cls,
        server: ServerProcess,
        name: str | None = "ada",
        *,
        path: str = "/ws",
        subprotocols: Sequence[str] = (JSON,),
        origin: str | None = None,
        **options: Any,
    ) -> AsyncIterator[Self]:
        """A client of `server`; with a name, it shows that user's token in the handshake."""
        headers = {} if name is None else {"Authorization": f"Bearer token-{name}"}
        async with connect(
            server.ws + path,
            subprotocols=[Subprotocol(offered) for offered in subprotocols] or None,
            additional_headers=headers,
            origin=None if origin is None else Origin(origin),
            open_timeout=SECONDS,
            **options,
        ) as websocket:
            yield cls(websocket, msgpack=websocket.subprotocol == MSGPACK)


class RawClient(_Client):
    """Engine.IO packets by hand."""

    async def send(self, *packets: str | bytes) -> None:
        """Send them, as far as the server has not closed by then."""
        with suppress(ConnectionClosed):
            for packet in packets:
                await self.websocket.send(packet)

    async def next(self) -> str | bytes:
        with anyio.fail_after(SECONDS):
            message: str | bytes = await self.websocket.recv()
        return message

    async def until(self, prefix: str) -> str:
        """The next packet that begins so, without that."""
        with anyio.fail_after(SECONDS):
            while True:
                packet = await self.next()
                if isinstance(packet, str) and packet.startswith(prefix):
                    return packet[len(prefix) :]

    async def authenticate(self, name: str = "ada") -> None:
        """Connect to the main namespace."""
        await self.send("40" + json.dumps({"token": f"token-{name}"}))
        await self.until("40")
        await self.until('42["connected",')

    @classmethod
    @asynccontextmanager
    async def connecting(
        cls, server: ServerProcess, *, path: str = "/socket.io/", sid: str = "", **options: Any
    ) -> AsyncIterator[Self]:
        url = f"{server.ws}{path}?EIO=4&transport=websocket" + (f"&sid={sid}" if sid else "")
        async with connect(url, open_timeout=SECONDS, **options) as websocket:
            yield cls(websocket)


async def inspect(server: ServerProcess) -> Any:
    """How the server is, as it says itself; that includes the connection that asks."""
    async with PlainClient.connecting(server, "eve") as client:
        return (await client.call("inspect"))["data"]


async def until_state(server: ServerProcess, is_so: Callable[[Any], bool]) -> Any:
    """Wait until the server says of itself what is expected; that is returned."""
    with anyio.fail_after(SECONDS):
        async with PlainClient.connecting(server, "eve") as client:
            while True:
                state = (await client.call("inspect"))["data"]
                if is_so(state):
                    return state
                await anyio.sleep(0.05)


async def still_serving(server: ServerProcess, pid: int | None = None) -> None:
    """A client that behaves is served as if nothing had been, by the same process."""
    async with PlainClient.connecting(server, "bob") as client:
        assert (await client.until("connected"))["userId"] == "bob"
        room = f"lobby:{token_hex(8)}"  # one that nobody who is away counts in
        assert (await client.call("subscribe", {"room": room}))["data"]["subscriberCount"] == 1
        assert (await client.call("echo", {"text": "well"}))["data"]["text"] == "well"
        assert pid in (None, (await client.call("inspect"))["data"]["pid"])
    assert server.running
