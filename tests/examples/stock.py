"""A stock Socket.IO client that talks to either side of the migration guide in the same words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
import socketio

__all__ = ["SECONDS", "TOKENS", "Client", "connected"]

SECONDS = 60.0
TOKENS = {"alice": "secret", "bob": "other"}

_BESIDE = ("connected", "subscribed", "unsubscribed")


class Client:
    """python-socketio's client, and what it is told.

    Attributes:
        seen: the events with their arguments, in order. Of an lbproto server this leaves out the
            offset behind the arguments, and what it says in any case.
        beside: that.
        answers: what an event that asks for an acknowledgement is answered, by its name.
    """

    def __init__(self, namespaces: Sequence[str]) -> None:
        self.socket = socketio.AsyncClient(reconnection=False)
        self.seen: list[Any] = []
        self.beside: list[Any] = []
        self.answers: dict[str, Any] = {}
        self._namespaces = list(namespaces)
        self._changed = anyio.Event()
        for namespace in namespaces:
            self.socket.on("*", self._take, namespace=namespace)
            for reserved in ("disconnect", "connect_error"):
                take = partial(self._take_reserved, reserved)
                self.socket.on(reserved, take, namespace=namespace)

    async def connect(self, url: str, path: str, user: str) -> None:
        await self.socket.connect(
            url,
            auth={"token": TOKENS.get(user, user)},
            transports=["websocket"],
            namespaces=self._namespaces,
            socketio_path=f"{path}/socket.io",
            wait_timeout=SECONDS,
        )

    async def emit(self, event: str, *data: Any, namespace: str = "/") -> None:
        await self.socket.emit(event, data, namespace=namespace)

    async def call(self, event: str, *data: Any, namespace: str = "/") -> Any:
        """Send a request, and wait for what it is acknowledged with."""
        return await self.socket.call(event, data, namespace=namespace, timeout=SECONDS)

    async def subscribe(self, room: str) -> None:
        """As clients of an lbproto server do it; another one does not know of that."""
        await self.emit("subscribe", {"room": room})
        if self.resumable:
            await self._until(lambda: "subscribed" in self.beside)

    async def until(self, event: str, times: int = 1) -> None:
        """Wait until an event has been seen so often."""
        await self._until(lambda: [each[0] for each in self.seen].count(event) >= times)

    async def greeted(self, rooms: int) -> None:
        """Wait for what an lbproto server says first; it has so many automatic rooms."""
        await self._until(lambda: self.resumable and self.beside.count("subscribed") == rooms)

    @property
    def resumable(self) -> bool:
        """Whether each event ends with an offset, as an lbproto server's do."""
        return "connected" in self.beside

    async def _until(self, seen: Callable[[], bool]) -> None:
        try:
            with anyio.fail_after(SECONDS):
                while not seen():
                    self._changed = anyio.Event()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"only {self.seen} and {self.beside} came") from None

    async def _take(self, event: str, *arguments: Any) -> Any:
        if event in _BESIDE:
            self.beside.append(event)
        elif event in self.answers:
            self.seen.append((event, *arguments))
        elif self.resumable:
            *arguments_only, offset = arguments
            assert isinstance(offset, str)
            self.seen.append((event, *arguments_only))
        else:
            self.seen.append((event, *arguments))
        self._changed.set()
        return self.answers.get(event)

    async def _take_reserved(self, event: str, *arguments: Any) -> None:
        self.seen.append((event, *arguments))
        self._changed.set()


@asynccontextmanager
async def connected(
    url: str,
    path: str,
    *users: str,
    namespaces: Sequence[str] = ("/",),
    automatic: int | None = None,
) -> AsyncIterator[list[Client]]:
    """A client of each user.

    Args:
        path: below which Socket.IO answers.
        automatic: how many automatic rooms there are; None where it is not an lbproto server.
    """
    clients = [Client(namespaces) for _ in users]
    try:
        for client, user in zip(clients, users, strict=True):
            await client.connect(url, path, user)
            if automatic is not None:
                await client.greeted(automatic)
        yield clients
    finally:
        for client in clients:
            await client.socket.disconnect()
