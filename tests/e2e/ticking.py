"""Clients of an app of several nodes (`tests.e2e.nodes`), and what they have got."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import anyio
import socketio

from tests.e2e.clients import SECONDS
from tests.e2e.pairs import Pair

__all__ = ["Reader", "connected", "readers"]


class Reader:
    """A stock client of one node.

    Args:
        url: the node's.
        session: how it is reached.

    Attributes:
        heard: the numbers of the ticks it has got, by their publisher.
        lost: set once it has been told that some are missing.
    """

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.heard: defaultdict[str, list[int]] = defaultdict(list)
        self.client = socketio.AsyncClient(reconnection=False, http_session=session)
        self.lost = anyio.Event()
        self.client.on("tick", self._tick)
        self.client.on("session_lost", self._session_lost)
        self._url = url
        self._session = session
        self._more = anyio.Event()

    async def _tick(self, tick: Any, *_: Any) -> None:
        self.heard[tick["publisher"]].append(tick["number"])
        self._more.set()

    async def _session_lost(self, *_: Any) -> None:
        self.lost.set()

    async def ask(self, event: str, data: Any) -> Any:
        """What a request is answered; one waits for the other."""
        answer = await self.client.call(event, data, timeout=SECONDS)
        assert answer["ok"], answer
        return answer["data"]

    async def statistics(self) -> Any:
        return await self.ask("health", {})

    async def is_ready(self) -> bool:
        """What a load balancer is told."""
        async with self._session.get(f"{self._url}/readyz") as answer:
            return answer.status == 200

    async def until_ready(self, *, ready: bool) -> None:
        with anyio.fail_after(SECONDS):
            while True:
                if await self.is_ready() is ready:
                    return
                await anyio.sleep(0.02)  # another process: it tells when it is asked

    async def until_lost(self, connections: int) -> None:
        """Wait until its node has lost so many connections to the broker since it began."""
        with anyio.fail_after(SECONDS):
            while True:
                if (await self.statistics())["lostConnections"] >= connections:
                    return
                await anyio.sleep(0.02)  # likewise

    async def until_heard(self, publisher: str, number: int) -> None:
        with anyio.fail_after(SECONDS):
            while number not in self.heard[publisher]:
                self._more = anyio.Event()
                await self._more.wait()


@asynccontextmanager
async def connected(
    url: str, user: str, connector: aiohttp.BaseConnector | None = None
) -> AsyncIterator[Reader]:
    """A client that leaves in the end."""
    async with aiohttp.ClientSession(connector=connector) as session:
        reader = Reader(url, session)
        await reader.client.connect(
            url,
            auth={"token": f"token-{user}"},
            transports=["websocket"],
            wait_timeout=SECONDS,
        )
        try:
            yield reader
        finally:
            await reader.client.disconnect()


@asynccontextmanager
async def readers(
    nodes: Pair, rooms: Sequence[str] = ("ticks",)
) -> AsyncIterator[tuple[Reader, Reader]]:
    """A client of each node, in the rooms."""
    one, two = nodes
    async with connected(one.http, "ada") as first, connected(two.http, "bob") as second:
        for reader in (first, second):
            for room in rooms:
                await reader.ask("subscribe", {"room": room})
        yield first, second
