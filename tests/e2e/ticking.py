"""Clients of an app of several nodes (`tests.e2e.nodes`), and what they have got."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import socketio

from tests.e2e.clients import SECONDS
from tests.e2e.pairs import Pair, connecting

__all__ = ["Reader", "readers"]


class Reader:
    """A client of one node.

    Args:
        client: not connected yet; by default a new one.

    Attributes:
        heard: the numbers of the ticks it has got, by their publisher.
    """

    def __init__(self, client: socketio.AsyncClient | None = None) -> None:
        self.heard: defaultdict[str, list[int]] = defaultdict(list)
        self._more = anyio.Event()
        self.client = client or socketio.AsyncClient(reconnection=False)
        self.client.on("tick", self._tick)

    async def _tick(self, tick: Any, *_: Any) -> None:
        self.heard[tick["publisher"]].append(tick["number"])
        self._more.set()

    async def ask(self, event: str, data: Any) -> Any:
        answer = await self.client.call(event, data, timeout=SECONDS)
        assert answer["ok"], answer
        return answer["data"]

    async def until_ready(self, *, ready: bool) -> None:
        with anyio.fail_after(SECONDS):
            while True:
                if (await self.ask("health", {}))["ready"] is ready:
                    return
                await anyio.sleep(0.02)

    async def until_heard(self, publisher: str, number: int) -> None:
        with anyio.fail_after(SECONDS):
            while number not in self.heard[publisher]:
                self._more = anyio.Event()
                await self._more.wait()


@asynccontextmanager
async def readers(
    nodes: Pair, rooms: Sequence[str] = ("ticks",)
) -> AsyncIterator[tuple[Reader, Reader]]:
    """A client of each node, in the rooms."""
    both = Reader(), Reader()
    async with connecting([reader.client for reader in both], nodes, ("ada", "bob")):
        for reader in both:
            for room in rooms:
                await reader.ask("subscribe", {"room": room})
        yield both
