"""Clients of a real server: HTTP by httpx, websockets by `websockets`, every wait bounded."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import anyio
import httpx
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from lbproto.frame import Message

__all__ = ["PATIENCE", "WebSocket", "Where"]

PATIENCE = 60.0
"""Seconds; never waited for where things work."""

# Not used, but made anew for every client otherwise, which takes longer than a heartbeat.
_TLS = ssl.create_default_context()


@dataclass(frozen=True)
class Where:
    """One path on one server.

    Attributes:
        address: host and port.
        path: with its slashes.
    """

    address: str
    path: str

    def under(self, prefix: str) -> Where:
        """The same with other times: below `/asking`, `/hasty` or `/waiting`."""
        return replace(self, path=prefix + self.path)

    def _url(self, scheme: str, query: dict[str, str]) -> httpx.URL:
        return httpx.URL(f"{scheme}://{self.address}{self.path}", params=query)

    # HTTP

    async def request(self, method: str = "GET", body: str = "", **query: str) -> tuple[int, str]:
        """Make a request; returns the answer's status and body."""
        async with httpx.AsyncClient(timeout=PATIENCE, verify=_TLS, trust_env=False) as client:
            answer = await client.request(method, self._url("http", query), content=body.encode())
            return answer.status_code, answer.text

    async def handshake(self) -> dict[str, Any]:
        """Open a session on polling."""
        status, body = await self.request(EIO="4", transport="polling")
        assert (status, body[0]) == (200, "0")
        opened: dict[str, Any] = msgspec.json.decode(body[1:])
        return opened

    async def session(self) -> str:
        """The id of a new session on polling."""
        sid: str = (await self.handshake())["sid"]
        return sid

    async def poll(self, sid: str) -> tuple[int, str]:
        return await self.request(EIO="4", transport="polling", sid=sid)

    async def post(self, sid: str, body: str) -> tuple[int, str]:
        return await self.request("POST", body, EIO="4", transport="polling", sid=sid)

    # Websockets

    @asynccontextmanager
    async def websocket(self, **query: str) -> AsyncIterator[WebSocket]:
        """A websocket that is open; closed when the body ends."""
        url = str(self._url("ws", query))
        async with connect(url, open_timeout=PATIENCE, close_timeout=PATIENCE) as connection:
            yield WebSocket(connection)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[WebSocket]:
        """A session on a websocket, its handshake read."""
        async with self.websocket(EIO="4", transport="websocket") as websocket:
            assert str(await websocket.receive())[0] == "0"
            yield websocket

    @asynccontextmanager
    async def upgrading(self, sid: str) -> AsyncIterator[WebSocket]:
        """A websocket beside a session, whose probe has been answered."""
        async with self.websocket(EIO="4", transport="websocket", sid=sid) as websocket:
            assert await websocket.ask("2probe") == "3probe"
            yield websocket

    async def refuses(self, **query: str) -> bool:
        """Whether a websocket is not even opened."""
        try:
            async with self.websocket(**query):
                return False
        except InvalidHandshake:
            return True


class WebSocket:
    """What a websocket's client says and hears."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, *messages: Message) -> None:
        for message in messages:
            await self._connection.send(message)

    async def receive(self) -> Message:
        """The next message, whatever it is."""
        with anyio.fail_after(PATIENCE):
            message: Message = await self._connection.recv()
            return message

    async def hear(self) -> Message:
        """The next message that is not a ping; those are answered."""
        while (message := await self.receive()) == "2":
            await self.send("3")
        return message

    async def ask(self, *messages: Message) -> Message:
        """Send messages; returns the next that comes back."""
        await self.send(*messages)
        return await self.hear()

    async def is_closed(self, *, answering: bool = True) -> bool:
        """Wait until the server has closed it.

        Args:
            answering: whether to answer pings meanwhile.
        """
        try:
            while True:
                await (self.hear() if answering else self.receive())
        except ConnectionClosed:
            return True
