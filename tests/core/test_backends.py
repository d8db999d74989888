"""The backends in memory: conformance, and the bounds that are their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import pytest

from lbproto import Overloaded
from lbproto.backends.base import PubSub
from lbproto.backends.memory import MemoryBroker, MemoryPubSub, MemoryStorage
from lbproto.testing import VirtualClock
from lbproto.testing.pubsub import Inbox, MakePubSub, PubSubSuite
from lbproto.testing.storage import MakeStorage, StorageSuite

pytestmark = pytest.mark.anyio


class TestMemoryStorage(StorageSuite):
    @pytest.fixture
    def make_storage(self, clock: VirtualClock) -> MakeStorage:
        return lambda: MemoryStorage(clock)


class TestMemoryPubSub(PubSubSuite):
    @pytest.fixture
    def make_pubsub(self) -> MakePubSub:
        return partial(MemoryPubSub, MemoryBroker())


@asynccontextmanager
async def memory_nodes(count: int, capacity: int = 1_000) -> AsyncIterator[list[PubSub]]:
    broker = MemoryBroker()
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(MemoryPubSub(broker, capacity=capacity))
            for _ in range(count)
        ]


async def test_a_memory_node_knows_what_nobody_awaits() -> None:
    async with memory_nodes(1) as (alone,), memory_nodes(2) as (one, two):
        for node in (alone, one):
            await node.subscribe("x")
            assert not node.is_awaited("x")
        await two.subscribe("x")
        assert one.is_awaited("x")
        assert not one.is_awaited("y")
        await two.unsubscribe("x")
        assert not one.is_awaited("x")


async def test_records_that_expire_unread_do_not_pile_up() -> None:
    clock = VirtualClock()
    storage = MemoryStorage(clock)
    await storage.put("ever", b"1")
    for number in range(20_000):
        await storage.put(f"put-{number}", b"x", ttl=1.0)
        await storage.increment(f"count-{number % 10}")
        clock.jump(0.01)
    assert storage._count == sum(map(len, storage._folders.values())) < 2_200
    assert await storage.get("ever") == b"1"
    assert await storage.get("count-0") == b"2000"


async def test_without_a_clock_time_is_the_machines() -> None:
    storage = MemoryStorage()
    await storage.put("a", b"1", ttl=1e-9)
    await storage.put("b", b"2", ttl=60)
    assert (await storage.get("a"), await storage.get("b")) == (None, b"2")


async def test_a_node_too_far_behind_is_not_told_and_neither_is_any_other() -> None:
    async with memory_nodes(4, capacity=2) as (one, *others), AsyncExitStack() as stack:
        for node in others:
            await node.subscribe("x")
        await others[0].subscribe("y")
        inboxes = [await stack.enter_async_context(Inbox.of(node)) for node in others[1:]]
        one.publish_nowait("y", b"")
        one.publish_nowait("x", b"1")
        with pytest.raises(Overloaded, match="too far behind to take 'x'") as refusal:
            one.publish_nowait("x", b"2")
        assert refusal.value.code.retryable
        one.publish_nowait("z", b"nobody asked for it")
        async with Inbox.of(others[0]) as slow:
            assert [await slow.take(), await slow.take()] == [("y", b""), ("x", b"1")]
        one.publish_nowait("x", b"3")
        for inbox in inboxes:
            assert [await inbox.take(), await inbox.take()] == [("x", b"1"), ("x", b"3")]


async def test_a_node_that_has_left_is_told_nothing() -> None:
    broker = MemoryBroker()
    async with MemoryPubSub(broker) as one:
        async with MemoryPubSub(broker, capacity=1) as two:
            await two.subscribe("x")
        for _ in range(3):
            one.publish_nowait("x", b"")
        assert broker.nodes == {one}


async def test_nodes_without_a_broker_in_common_are_alone() -> None:
    async with MemoryPubSub() as one, MemoryPubSub() as two, Inbox.of(two) as inbox:
        await two.subscribe("x")
        one.publish_nowait("x", b"")
        await two.subscribe("marker")
        async with MemoryPubSub(two._broker) as three:
            three.publish_nowait("marker", b"")
            assert await inbox.take() == ("marker", b"")
