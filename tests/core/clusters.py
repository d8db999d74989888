"""Several nodes on one broker and one storage, and what becomes of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.abc import TaskGroup, TaskStatus

from lbproto import Server
from lbproto.backends.memory import MemoryBroker, MemoryPubSub, MemoryStorage
from lbproto.nodes.control import PATIENCE
from lbproto.testing import VirtualClock, settle
from lbproto.wire import Unavailable
from tests.core.harness import Sent
from tests.core.sessions import Connected, Rooms, come, serve


class Shared(MemoryStorage):
    """Outlives its servers, as one outside the process does."""

    durable = True


class Cluster:
    """Nodes of one application, each in a task of its own."""

    def __init__(self, tasks: TaskGroup, *, max_kept: int = 100_000, durable: bool = True) -> None:
        self.clock = VirtualClock()
        self.rooms = Rooms()
        self.broker = MemoryBroker(max_kept=max_kept)
        self.storage = Shared(self.clock) if durable else MemoryStorage(self.clock)
        self._tasks = tasks
        self._stopping: dict[Server, anyio.Event] = {}

    @classmethod
    @asynccontextmanager
    async def running(cls, **options: Any) -> AsyncIterator[Cluster]:
        async with anyio.create_task_group() as tasks:
            cluster = cls(tasks, **options)
            yield cluster
            for stopping in cluster._stopping.values():
                stopping.set()

    async def start(self, **options: Any) -> Server:
        """Another node, which knows who is there."""
        server = await self.begin(**options)
        await self.clock.advance(PATIENCE)
        return server

    async def begin(self, **options: Any) -> Server:
        """Another node, which has just begun."""
        pubsub = MemoryPubSub(self.broker)
        server = serve(self.rooms, self.clock, pubsub=pubsub, storage=self.storage, **options)
        await self._tasks.start(self._run, server)
        await settle()
        return server

    async def _run(self, server: Server, *, task_status: TaskStatus[None]) -> None:
        stopping = self._stopping[server] = anyio.Event()
        async with server.lifespan():
            task_status.started()
            await stopping.wait()

    def stop(self, server: Server) -> None:
        """Have a node stop in order; it does so when the event loop turns."""
        self._stopping[server].set()

    async def leave(self, server: Server, fate: str) -> None:
        """A node lives on, stops in order, or dies: is heard no more, nor does it hear."""
        if fate == "stopped":
            self.stop(server)
            while server._started:
                await self.clock.advance(0.1)
        elif fate == "dead":
            pubsub = server._parts.pubsub
            assert isinstance(pubsub, MemoryPubSub)
            self.broker.nodes.discard(pubsub)
            # A process that was killed runs no code, which in this process cannot be had elsewise.
            pubsub.is_awaited = lambda *_, **__: False  # type: ignore[method-assign] # see above
            pubsub.publish_nowait = lambda *_, **__: None  # type: ignore[method-assign] # as above

    async def come_back(
        self, server: Server, resume: dict[str, Any], user: str = "ada"
    ) -> Connected:
        """A client comes back to a node; what does not answer it is waited for."""
        (found,) = await self.come_back_to([server], resume, user)
        return found

    async def come_back_to(
        self, servers: list[Server], resume: dict[str, Any], user: str = "ada"
    ) -> list[Connected]:
        """It comes back to several at once."""
        found: list[Connected] = []
        refused: list[Server] = []

        async def back(server: Server) -> None:
            try:
                found.append(await come(server, user, **resume))
            except Unavailable:
                refused.append(server)

        async with anyio.create_task_group() as tasks:
            for server in servers:
                tasks.start_soon(back, server)
            await settle()
            while len(found) + len(refused) < len(servers):
                await self.clock.advance(0.5)
                await settle()
        return found


def notes(told: list[Sent]) -> list[int]:
    return [sent.data["number"] for sent in told if sent.name == "note"]
