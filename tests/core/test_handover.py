"""Sessions that go on on another node: of one that lives, has stopped, or has died."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio.abc import TaskGroup, TaskStatus

from lbproto import Recovery, Server
from lbproto.backends.memory import MemoryBroker, MemoryPubSub, MemoryStorage
from lbproto.testing import VirtualClock, settle
from tests.core.harness import Sent
from tests.core.sessions import Connected, Note, Rooms, come, lose, request, serve, subscribe

pytestmark = pytest.mark.anyio


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
        """Another node."""
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

    async def leave(self, server: Server, fate: str) -> None:
        """A node lives on, stops in order, or dies: is heard no more, nor does it hear."""
        if fate == "stopped":
            self._stopping[server].set()
            while server._started:
                await self.clock.advance(0.1)
        elif fate == "dead":
            pubsub = server._pubsub
            assert isinstance(pubsub, MemoryPubSub)
            self.broker.nodes.discard(pubsub)
            pubsub.is_awaited = lambda *_, **__: False  # type: ignore[method-assign]

    async def come_back(
        self, server: Server, resume: dict[str, Any], user: str = "ada"
    ) -> Connected:
        """A client comes back to a node; what does not answer it is waited for."""
        found: list[Connected] = []

        async def back() -> None:
            found.append(await come(server, user, **resume))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(back)
            await settle()
            while not found:
                await self.clock.advance(0.5)
                await settle()
        return found[0]


@pytest.fixture(params=["lives", "stopped", "dead"])
def fate(request: pytest.FixtureRequest) -> str:
    """What becomes of the node that a client was on."""
    found: str = request.param
    return found


def notes(told: list[Sent]) -> list[int]:
    return [sent.data["number"] for sent in told if sent.name == "note"]


async def test_a_client_goes_on_on_another_node_with_all_it_has_missed(fate: str) -> None:
    async with Cluster.running() as cluster:
        one, two = await cluster.start(), await cluster.start()
        client = await come(one)
        await subscribe(one, client)
        one.to("room:a").emit(Note(number=1))
        two.to("room:a").emit(Note(number=2))
        await settle()
        assert notes(client.take()) == [1, 2]
        resume = client.resume
        lose(one, client)
        two.to("room:a").emit(Note(number=3))
        await settle()
        one.to("room:a").emit(Note(number=4))
        await settle()
        two.to_user("ada").emit(Note(number=5))
        two.to("room:b").emit(Note(number=6))
        await settle()
        await cluster.leave(one, fate)
        back = await cluster.come_back(two, resume)
        assert back.names[0] == "connected"
        assert back.told[0].data["sid"] == client.socket.sid
        assert notes(back.told) == [3, 4, 5]
        assert back.told[-1] == Sent("recovered", {"missed": 3})
        two.to("room:a").emit(Note(number=7))
        assert notes(back.take()) == [7]
