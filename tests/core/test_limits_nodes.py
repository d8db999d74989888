"""Limits of several nodes together: a store counts for all of them, and is not asked in vain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import pytest

from lbproto import Context, Event, Limits, Overloaded, Plugin, Tier, Window
from lbproto.backends.memory_limits import MemoryLimits
from lbproto.testing import VirtualClock
from lbproto.testing.limits import asked
from lbproto.wire import Inbound
from lbproto.wire.arguments import ObjectArguments
from tests.core.harness import Client, connected, make_server

pytestmark = pytest.mark.anyio


class Work(Event):
    pass


class Worked(Event):
    pass


def working() -> Plugin:
    plugin = Plugin("working")

    @plugin.on(Work)
    async def work(ctx: Context, request: Work) -> Worked:
        return Worked()

    return plugin


class Counting(MemoryLimits):
    """A store that may be away, with a clock of its own."""

    def __init__(self, tier: Tier) -> None:
        self.clock = VirtualClock(5)
        super().__init__(self.clock)
        self.tier = tier
        self.asked = 0
        self.entered = 0
        self.reachable = True

    async def __aenter__(self) -> Self:
        self.entered += 1
        return await super().__aenter__()

    async def __aexit__(self, *failure: Any) -> None:
        self.entered -= 1
        await super().__aexit__(*failure)

    async def take(
        self, user_id: str, windows: Sequence[tuple[int, int, int]], weight: int
    ) -> tuple[bool, Sequence[int]]:
        self.asked += 1
        if not self.reachable:
            raise Overloaded("the store is away")
        assert self.entered
        assert windows == asked(self.tier)
        return await super().take(user_id, windows, weight)


class Nodes:
    """Two servers that share a store, and time."""

    def __init__(self, tier: Tier, per_session: Window | None = None) -> None:
        self.store = Counting(tier)
        limits = Limits(tiers={"free": tier}, per_session=per_session, store=self.store)
        self.servers = [make_server(working(), limits=limits) for _ in range(2)]

    def jump(self, seconds: float) -> None:
        self.store.clock.jump(seconds)
        for server in self.servers:
            assert isinstance(server.clock, VirtualClock)
            server.clock.jump(seconds)


FEW = Tier(Window(6, 15), Window(100, 3_600))  # three at once, then one every five seconds


async def succeeds(client: Client, event: str = "work") -> bool:
    *_, ack = await client.ask(event, ack=1)
    ok: bool = ack.data["ok"]
    return ok


async def test_the_nodes_count_together() -> None:
    nodes = Nodes(FEW)
    first, second = nodes.servers
    async with first.lifespan(), second.lifespan():
        one, two = await connected(first), await connected(second)
        assert [await succeeds(client) for client in (one, one, two, two)] == [True] * 3 + [False]
        event, ack = await one.ask("work", ack=1)
        assert event.name == "rate_limit_error"
        assert ack.data["error"]["retryAfter"] == 5
        nodes.jump(4)
        assert not await succeeds(two)
        nodes.jump(1)
        assert await succeeds(two)
        assert not await succeeds(one)
        assert await succeeds(await connected(first, "bob"))


async def test_a_node_that_knows_the_answer_does_not_ask() -> None:
    nodes = Nodes(FEW)
    first, second = nodes.servers
    async with first.lifespan(), second.lifespan():
        one, two = await connected(first), await connected(second)
        assert [await succeeds(one) for _ in range(3)] == [True] * 3
        assert not await succeeds(two)
        asked = nodes.store.asked
        for _ in range(20):
            nodes.jump(0.2)
            assert not await succeeds(one)
            assert not await succeeds(two)
        assert nodes.store.asked == asked
        nodes.jump(1)
        assert await succeeds(two)
        assert nodes.store.asked == asked + 1


async def test_what_counts_for_the_session_only_is_not_asked() -> None:
    nodes = Nodes(FEW)
    async with nodes.servers[0].lifespan():
        client = await connected(nodes.servers[0])
        for _ in range(10):
            assert await succeeds(client, "ping")
        assert nodes.store.asked == 0


async def test_what_the_store_refuses_is_not_counted_by_the_session() -> None:
    nodes = Nodes(FEW, per_session=Window(10, 1_000))
    first, second = nodes.servers
    async with first.lifespan(), second.lifespan():
        one, two = await connected(first), await connected(second)
        assert [await succeeds(one) for _ in range(3)] == [True] * 3
        for _ in range(5):
            assert not await succeeds(two)
        assert [await succeeds(two, "ping") for _ in range(6)] == [True] * 5 + [False]


async def test_while_the_store_is_away_each_node_counts_by_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    nodes = Nodes(FEW)
    first, second = nodes.servers
    async with first.lifespan(), second.lifespan():
        one, two = await connected(first), await connected(second)
        assert await succeeds(one)
        nodes.store.reachable = False
        assert [await succeeds(one) for _ in range(3)] == [True, True, False]
        assert [await succeeds(two) for _ in range(4)] == [True] * 3 + [False]
        assert caplog.text.count("the store is away") == 2  # once a node
        nodes.store.reachable = True
        nodes.jump(5)
        assert [await succeeds(two) for _ in range(4)] == [True] * 3 + [
            False
        ]  # as the store has it


async def test_a_client_that_goes_while_the_store_is_asked() -> None:
    nodes = Nodes(FEW)
    (server, _) = nodes.servers
    async with server.lifespan():
        client = await connected(server)
        served = server.sessions.event(client.socket, Inbound("work", ObjectArguments([]), 1))
        client.close()
        await served
        assert client.take() == []


async def test_the_store_is_entered_and_left_with_the_server() -> None:
    nodes = Nodes(FEW)
    assert nodes.store.entered == 0
    async with nodes.servers[0].lifespan():
        assert nodes.store.entered == 1
    assert nodes.store.entered == 0
