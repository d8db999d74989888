"""What every pub/sub has to do, whoever wrote it: subclass the suite, give it yours.

Like this::

    class TestMyPubSub(PubSubSuite):
        @pytest.fixture
        def make_pubsub(self) -> MakePubSub:
            return lambda: MyPubSub(url)

Needs pytest, with the fixtures of `lbproto.testing.fixtures`: every test runs under every event
loop.
"""

from __future__ import annotations

import anyio
import pytest
from anyio.lowlevel import checkpoint

from lbproto.backends.base import PubSub
from lbproto.errors import Overloaded
from lbproto.testing.pubsub_log import LogSuite
from lbproto.testing.pubsub_nodes import PATIENCE, Inbox, MakePubSub, Nodes

__all__ = ["Inbox", "MakePubSub", "PubSubSuite"]


class PubSubSuite(LogSuite):
    """Conformance of a `PubSub`: override `make_pubsub`.

    What a log has to do is skipped for one that has none.
    """

    async def test_a_message_reaches_every_other_subscriber(self, nodes: Nodes) -> None:
        one, two, three = nodes
        async with Inbox.of(two) as second, Inbox.of(three) as third:
            for node in nodes:
                await node.subscribe("x")
            one.publish_nowait("x", b"hello")
            assert await second.take() == ("x", b"hello")
            assert await third.take() == ("x", b"hello")

    async def test_a_node_never_gets_its_own_back(self, nodes: Nodes) -> None:
        one, two, _ = nodes
        async with Inbox.of(one) as first, Inbox.of(two) as second:
            await one.subscribe("x")
            await two.subscribe("x")
            one.publish_nowait("x", b"own")
            assert await second.take() == ("x", b"own")
            two.publish_nowait("x", b"other")
            assert await first.take() == ("x", b"other")

    async def test_only_subscribed_channels_come(self, nodes: Nodes) -> None:
        one, two, _ = nodes
        async with Inbox.of(two) as inbox:
            await two.subscribe("x")
            await two.subscribe("z")
            for channel in ("y", "x", "X", "xx", "x.y", "*", "z"):
                one.publish_nowait(channel, channel.encode())
            assert {await inbox.take(), await inbox.take()} == {("x", b"x"), ("z", b"z")}

    async def test_what_was_published_before_does_not_come(self, nodes: Nodes) -> None:
        one, two, three = nodes
        async with Inbox.of(two) as inbox, Inbox.of(three) as witness:
            await three.subscribe("x")
            one.publish_nowait("x", b"before")
            assert await witness.take() == ("x", b"before")
            await two.subscribe("x")
            one.publish_nowait("x", b"after")
            assert await inbox.take() == ("x", b"after")

    async def test_unsubscribing_ends_it(self, nodes: Nodes) -> None:
        one, two, three = nodes
        async with Inbox.of(two) as inbox, Inbox.of(three) as witness:
            for node in (two, three):
                await node.subscribe("x")
            await two.subscribe("marker")
            await two.unsubscribe("x")
            await two.unsubscribe("x")
            await two.unsubscribe("never")
            await _reaches_only(witness, inbox, one)

    async def test_subscribing_twice_counts_once(self, nodes: Nodes) -> None:
        one, two, three = nodes
        async with Inbox.of(two) as inbox, Inbox.of(three) as witness:
            await two.subscribe("marker")
            await two.subscribe("x")
            await two.subscribe("x")
            await three.subscribe("x")
            one.publish_nowait("x", b"1")
            assert await inbox.take() == ("x", b"1")
            assert await witness.take() == ("x", b"1")
            await two.unsubscribe("x")
            await _reaches_only(witness, inbox, one)

    async def test_subscribing_again_takes_up_from_then_on(self, nodes: Nodes) -> None:
        one, two, three = nodes
        async with Inbox.of(two) as inbox, Inbox.of(three) as witness:
            await three.subscribe("x")
            for payload in (b"1", b"2", b"3"):
                await two.subscribe("x")
                one.publish_nowait("x", payload)
                assert await inbox.take() == ("x", payload)
                assert await witness.take() == ("x", payload)
                await two.unsubscribe("x")
                one.publish_nowait("x", b"missed")
                assert await witness.take() == ("x", b"missed")

    async def test_many_subscribe_and_unsubscribe_at_once(self, nodes: Nodes) -> None:
        one, two, _ = nodes

        async def come_and_go(channel: str) -> None:
            await two.subscribe(channel)
            await two.unsubscribe(channel)
            await two.subscribe(channel)

        channels = [f"channel-{number}" for number in range(100)]
        async with Inbox.of(two) as inbox:
            async with anyio.create_task_group() as tasks:
                for channel in channels:
                    tasks.start_soon(come_and_go, channel)
            for channel in channels:
                one.publish_nowait(channel, b"x")
            assert {await inbox.take() for _ in channels} == {(each, b"x") for each in channels}

    async def test_whoever_changes_their_mind_at_once_is_followed(self, nodes: Nodes) -> None:
        one, two, _ = nodes
        async with Inbox.of(two) as inbox:
            with anyio.fail_after(PATIENCE):
                async with anyio.create_task_group() as tasks:
                    for change in (two.subscribe, two.unsubscribe, two.subscribe):
                        tasks.start_soon(change, "x")
                await two.subscribe("x")
            one.publish_nowait("x", b"1")
            assert await inbox.take() == ("x", b"1")

    async def test_whoever_is_cancelled_disturbs_nobody(self, nodes: Nodes) -> None:
        one, two, _ = nodes
        async with Inbox.of(two) as inbox:
            for turns in range(4):
                async with anyio.create_task_group() as tasks:
                    for number in range(8):
                        tasks.start_soon(two.subscribe, f"{turns}-{number}")
                    for _ in range(turns):
                        await checkpoint()
                    tasks.cancel_scope.cancel()
                await two.subscribe(f"{turns}-0")
                one.publish_nowait(f"{turns}-0", b"x")
                assert await inbox.take() == (f"{turns}-0", b"x")

    async def test_what_a_subscriber_would_get_is_awaited(self, nodes: Nodes) -> None:
        """The converse need not hold: a node may not know at once that nobody has."""
        one, two, three = nodes
        await three.subscribe("x")
        assert one.is_awaited("x")
        assert two.is_awaited("x")
        await two.subscribe("x")
        await three.unsubscribe("x")
        assert one.is_awaited("x")

    async def test_messages_come_in_order(self, nodes: Nodes) -> None:
        one, two, three = nodes
        async with Inbox.of(two) as inbox:
            await two.subscribe("x")
            for number in range(300):
                for node, name in ((one, b"a"), (three, b"b")):
                    node.publish_nowait("x", b"%s%d" % (name, number))
                if number % 50 == 0:
                    await checkpoint()
            taken = [(await inbox.take())[1] for _ in range(600)]
            for name in (b"a", b"b"):
                own = [each for each in taken if each.startswith(name)]
                assert own == [b"%s%d" % (name, number) for number in range(300)]

    @pytest.mark.parametrize("payload", [b"", bytes(range(256)), b"x" * 100_000], ids=len)
    async def test_any_bytes_on_any_channel(self, nodes: Nodes, payload: bytes) -> None:
        one, two, _ = nodes
        async with Inbox.of(two) as inbox:
            for channel in ("a b", "комната:*?[", "x" * 128, "\n", "{a}", "a.>", "", "\ud800"):
                await two.subscribe(channel)
                one.publish_nowait(channel, payload)
                assert await inbox.take() == (channel, payload)

    async def test_nothing_is_lost_without_a_word(self, nodes: Nodes) -> None:
        """What is too much at once is refused; what is not refused arrives."""
        one, two, _ = nodes
        async with Inbox.of(two) as inbox:
            await two.subscribe("x")
            taken = []
            for number in range(2_000):
                with_ten_kilobytes = b"%d" % number + b"x" * 10_000
                try:
                    one.publish_nowait("x", with_ten_kilobytes)
                    taken.append(with_ten_kilobytes)
                except Overloaded:
                    break
            for payload in taken:
                assert await inbox.take() == ("x", payload)

    async def test_it_says_how_it_is(self, nodes: Nodes) -> None:
        one, two, _ = nodes
        assert one.ready
        assert two.ready
        async with Inbox.of(two) as inbox:
            await two.subscribe("x")
            one.publish_nowait("x", b"")
            await inbox.take()
            assert two.statistics().missed == 0

    async def test_it_may_be_entered_again(self, make_pubsub: MakePubSub) -> None:
        pubsub = make_pubsub()
        async with make_pubsub() as other:
            for _ in range(2):
                async with pubsub, Inbox.of(pubsub) as inbox:
                    await pubsub.subscribe("x")
                    other.publish_nowait("x", b"1")
                    assert await inbox.take() == ("x", b"1")


async def _reaches_only(witness: Inbox, other: Inbox, publisher: PubSub) -> None:
    """What is published to "x" comes to one of two, the other gets the "marker" behind it."""
    publisher.publish_nowait("x", b"late")
    assert await witness.take() == ("x", b"late")
    publisher.publish_nowait("marker", b"")
    assert await other.take() == ("marker", b"")
