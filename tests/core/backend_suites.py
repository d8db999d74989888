"""What every backend has to do, whoever wrote it: subclass a suite and give it your backend.

class TestMine(StorageSuite):
    @pytest.fixture
    def make_storage(self) -> MakeStorage:
        return MyStorage
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
import pytest
from anyio.streams.memory import MemoryObjectReceiveStream

from lbproto import Clock
from lbproto.backends.base import PubSub, Storage
from lbproto.testing import VirtualClock

MakeStorage = Callable[[Clock], AbstractAsyncContextManager[Storage]]
"""Makes a storage that is empty and measures time by the clock it is given."""

MakeNodes = Callable[[int], AbstractAsyncContextManager[list[PubSub]]]
"""Makes that many nodes of one application, entered."""

_PATIENCE = 10.0  # seconds until a message is taken for lost


class StorageSuite:
    """Conformance of a `Storage`."""

    pytestmark = pytest.mark.anyio

    @pytest.fixture
    def make_storage(self) -> MakeStorage:
        """The backend under test."""
        raise NotImplementedError

    @pytest.fixture
    def clock(self) -> VirtualClock:
        """What the storage measures time by."""
        return VirtualClock()

    @pytest.fixture
    def elapse(self, clock: VirtualClock) -> Callable[[float], Awaitable[None]]:
        """Lets so many seconds pass; override it for a backend that has a clock of its own."""
        return clock.advance

    @pytest.fixture
    async def storage(
        self, make_storage: MakeStorage, clock: VirtualClock
    ) -> AsyncIterator[Storage]:
        async with make_storage(clock) as storage:
            yield storage

    async def test_a_key_nobody_put_is_none(self, storage: Storage) -> None:
        assert await storage.get("nothing") is None

    async def test_what_was_put_is_got(self, storage: Storage) -> None:
        await storage.put("a", b"1")
        await storage.put("b", b"2")
        assert (await storage.get("a"), await storage.get("b")) == (b"1", b"2")

    @pytest.mark.parametrize(
        "value", [b"", b"\x00", bytes(range(256)), "é".encode(), b"x" * 1024 * 1024]
    )
    async def test_any_bytes(self, storage: Storage, value: bytes) -> None:
        await storage.put("key", value)
        assert await storage.get("key") == value

    @pytest.mark.parametrize("key", ["x" * 512, "a b", "a:b/c.*", "ключ", "\n", "'; --"])
    async def test_any_key(self, storage: Storage, key: str) -> None:
        await storage.put(key, b"1")
        await storage.put(key + "2" if len(key) < 512 else "other", b"2")
        assert await storage.get(key) == b"1"

    async def test_putting_again_replaces(self, storage: Storage) -> None:
        await storage.put("a", b"1")
        await storage.put("a", b"2")
        assert await storage.get("a") == b"2"

    async def test_deleting(self, storage: Storage) -> None:
        await storage.put("a", b"1")
        await storage.delete("a")
        await storage.delete("a")
        await storage.delete("never")
        assert await storage.get("a") is None

    # Time to live

    async def test_a_record_is_gone_once_its_time_has_passed(
        self, storage: Storage, elapse: Callable[[float], Awaitable[None]]
    ) -> None:
        await storage.put("short", b"1", ttl=1.0)
        await storage.put("long", b"2", ttl=60.0)
        await storage.put("ever", b"3")
        assert await storage.get("short") == b"1"
        await elapse(1.0)
        assert await storage.get("short") is None
        assert (await storage.get("long"), await storage.get("ever")) == (b"2", b"3")

    async def test_putting_again_replaces_the_time_to_live(
        self, storage: Storage, elapse: Callable[[float], Awaitable[None]]
    ) -> None:
        await storage.put("longer", b"1", ttl=1.0)
        await storage.put("longer", b"2", ttl=60.0)
        await storage.put("ever", b"1", ttl=1.0)
        await storage.put("ever", b"2")
        await storage.put("shorter", b"1")
        await storage.put("shorter", b"2", ttl=1.0)
        await elapse(1.5)
        assert await storage.get("longer") == b"2"
        assert await storage.get("ever") == b"2"
        assert await storage.get("shorter") is None

    async def test_a_key_may_be_used_again_after_its_time(
        self, storage: Storage, elapse: Callable[[float], Awaitable[None]]
    ) -> None:
        await storage.put("a", b"1", ttl=1.0)
        await elapse(2.0)
        await storage.put("a", b"2")
        await elapse(2.0)
        assert await storage.get("a") == b"2"

    # Counting

    async def test_counting(self, storage: Storage) -> None:
        assert await storage.increment("n") == 1
        assert await storage.increment("n", 41) == 42
        assert await storage.increment("n", -43) == -1
        assert await storage.increment("n", 1) == 0
        assert await storage.get("n") == b"0"

    async def test_counting_on_from_what_was_put(self, storage: Storage) -> None:
        await storage.put("n", b"-7")
        assert await storage.increment("n", 10) == 3
        assert await storage.get("n") == b"3"

    @pytest.mark.parametrize("value", [b"", b"x", b"1.5", b"0x10", b"\xff"])
    async def test_only_integers_are_counted(self, storage: Storage, value: bytes) -> None:
        await storage.put("n", value)
        with pytest.raises(ValueError):  # noqa: PT011 - each backend says it in its own words
            await storage.increment("n")
        assert await storage.get("n") == value

    async def test_counting_leaves_the_time_to_live(
        self, storage: Storage, elapse: Callable[[float], Awaitable[None]]
    ) -> None:
        await storage.put("n", b"5", ttl=1.0)
        assert await storage.increment("n") == 6
        await elapse(1.0)
        assert await storage.increment("n") == 1
        await elapse(60.0)
        assert await storage.get("n") == b"1"

    async def test_no_count_is_lost(self, storage: Storage) -> None:
        async def count() -> None:
            for _ in range(10):
                await storage.increment("n")

        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(count)
        assert await storage.get("n") == b"100"


class PubSubSuite:
    """Conformance of a `PubSub`."""

    pytestmark = pytest.mark.anyio

    @pytest.fixture
    def make_nodes(self) -> MakeNodes:
        """The backend under test."""
        raise NotImplementedError

    async def test_a_message_reaches_every_other_subscriber(self, make_nodes: MakeNodes) -> None:
        async with make_nodes(3) as (one, two, three), Inbox.of(two) as b, Inbox.of(three) as c:
            for node in (one, two, three):
                await node.subscribe("x")
            one.publish_nowait("x", b"hello")
            assert await b.take() == ("x", b"hello")
            assert await c.take() == ("x", b"hello")

    async def test_a_node_never_gets_its_own_back(self, make_nodes: MakeNodes) -> None:
        async with make_nodes(2) as (one, two), Inbox.of(one) as inbox:
            await one.subscribe("x")
            one.publish_nowait("x", b"own")
            two.publish_nowait("x", b"other")
            assert await inbox.take() == ("x", b"other")

    async def test_only_subscribed_channels_come(self, make_nodes: MakeNodes) -> None:
        async with make_nodes(2) as (one, two), Inbox.of(two) as inbox:
            await two.subscribe("x")
            await two.subscribe("z")
            for channel in ("y", "x", "X", "xx", "z"):
                one.publish_nowait(channel, channel.encode())
            assert await inbox.take() == ("x", b"x")
            assert await inbox.take() == ("z", b"z")

    async def test_unsubscribing_ends_it(self, make_nodes: MakeNodes) -> None:
        async with make_nodes(2) as (one, two), Inbox.of(two) as inbox:
            await two.subscribe("x")
            await two.subscribe("marker")
            await two.unsubscribe("x")
            await two.unsubscribe("x")
            await two.unsubscribe("never")
            one.publish_nowait("x", b"late")
            one.publish_nowait("marker", b"")
            assert await inbox.take() == ("marker", b"")

    async def test_what_a_subscriber_would_get_is_awaited(self, make_nodes: MakeNodes) -> None:
        """The converse need not hold: a node may not know at once that nobody has."""
        async with make_nodes(3) as (one, two, three):
            await three.subscribe("x")
            assert one.is_awaited("x")
            assert two.is_awaited("x")
            await two.subscribe("x")
            await three.unsubscribe("x")
            assert one.is_awaited("x")

    async def test_subscribing_twice_counts_once(self, make_nodes: MakeNodes) -> None:
        async with make_nodes(2) as (one, two), Inbox.of(two) as inbox:
            await two.subscribe("marker")
            await two.subscribe("x")
            await two.subscribe("x")
            one.publish_nowait("x", b"1")
            one.publish_nowait("marker", b"")
            assert [await inbox.take(), await inbox.take()] == [("x", b"1"), ("marker", b"")]
            await two.unsubscribe("x")
            one.publish_nowait("x", b"2")
            one.publish_nowait("marker", b"")
            assert await inbox.take() == ("marker", b"")

    async def test_subscribing_again_takes_up_from_then_on(self, make_nodes: MakeNodes) -> None:
        async with make_nodes(2) as (one, two), Inbox.of(two) as inbox:
            for payload in (b"1", b"2", b"3"):
                await two.subscribe("x")
                one.publish_nowait("x", payload)
                assert await inbox.take() == ("x", payload)
                await two.unsubscribe("x")
                one.publish_nowait("x", b"missed")

    async def test_messages_come_in_order(self, make_nodes: MakeNodes) -> None:
        async with make_nodes(2) as (one, two), Inbox.of(two) as inbox:
            await two.subscribe("x")
            for number in range(500):
                one.publish_nowait("x", b"%d" % number)
            assert [await inbox.take() for _ in range(500)] == [
                ("x", b"%d" % number) for number in range(500)
            ]

    @pytest.mark.parametrize("payload", [b"", bytes(range(256)), b"x" * 100_000], ids=len)
    async def test_any_bytes_on_any_channel(self, make_nodes: MakeNodes, payload: bytes) -> None:
        async with make_nodes(2) as (one, two), Inbox.of(two) as inbox:
            for channel in ("a b", "комната:*?[", "x" * 128, "\n"):
                await two.subscribe(channel)
                one.publish_nowait(channel, payload)
                assert await inbox.take() == (channel, payload)


class Inbox:
    """What one node receives."""

    def __init__(self, stream: MemoryObjectReceiveStream[tuple[str, bytes]]) -> None:
        self._stream = stream

    @classmethod
    @asynccontextmanager
    async def of(cls, node: PubSub) -> AsyncIterator[Inbox]:
        """Read a node's messages inside the `async with`."""
        send, receive = anyio.create_memory_object_stream[tuple[str, bytes]](10_000)

        async def read() -> None:
            async for message in node.messages():
                send.send_nowait(message)

        with send, receive:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read)
                yield cls(receive)
                tasks.cancel_scope.cancel()

    async def take(self) -> tuple[str, bytes]:
        """The next message."""
        with anyio.fail_after(_PATIENCE):
            return await self._stream.receive()
