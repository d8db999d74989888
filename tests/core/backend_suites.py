"""What every pub/sub has to do, whoever wrote it: subclass the suite and give it yours.

class TestMine(PubSubSuite):
    @pytest.fixture
    def make_nodes(self) -> MakeNodes:
        return my_nodes
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
import pytest
from anyio.streams.memory import MemoryObjectReceiveStream

from lbproto.backends.base import PubSub

MakeNodes = Callable[[int], AbstractAsyncContextManager[list[PubSub]]]
"""Makes that many nodes of one application, entered."""

_PATIENCE = 10.0  # seconds until a message is taken for lost


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
