"""What every pub/sub with a log has to do; a part of the suite of `lbproto.testing.pubsub`."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.lowlevel import checkpoint

from lbproto.backends.base import PubSub
from lbproto.testing.pubsub_nodes import Nodes, NodesSuite

__all__ = ["LogSuite"]

_MALFORMED = ("", ":", "x" * 256, "a:b\n:1")


class Follower:
    """Somebody who has got what a node has published to a channel, and was given of the others.

    Attributes:
        got: that.
    """

    def __init__(self, node: PubSub) -> None:
        self.node = node
        self.got: list[bytes] = []

    @classmethod
    @asynccontextmanager
    async def of(cls, node: PubSub) -> AsyncIterator[Follower]:
        """Read a node's messages inside the `async with`; it subscribes to "x"."""
        follower = cls(node)

        async def read() -> None:
            async for _, payload in node.messages():
                assert payload is not None
                follower.got.append(payload)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await node.subscribe("x")
            yield follower
            tasks.cancel_scope.cancel()

    def publish(self, payload: bytes) -> None:
        self.node.publish_nowait("x", payload, kept=True)
        self.got.append(payload)

    async def missed(self, *positions: str) -> list[bytes]:
        told = await self.node.missed({"x": positions})
        assert told is not None
        return [payload for _, payload in told]


async def reached(publisher: PubSub, node: PubSub) -> None:
    """Wait until a node has got to all that another one has published."""
    assert await node.missed({"x": [publisher.position]}) is not None  # it is in the log then
    await node.catch_up()


Followers = tuple[Follower, Follower, Follower]


class LogSuite(NodesSuite):
    """Conformance of what can tell a node what others had not been given."""

    @pytest.fixture
    async def followers(self, nodes: Nodes) -> AsyncIterator[Followers]:
        """One of each of three nodes."""
        if not nodes[0].position:
            pytest.skip("not offered: a log")
        one, two, three = map(Follower.of, nodes)
        async with one as first, two as second, three as third:
            yield first, second, third

    async def test_a_position_is_short_and_plain(self, followers: Followers) -> None:
        one, two, _ = followers
        for _ in range(300):
            before = one.node.position
            one.publish(b"")
            two.publish(b"")
            assert one.node.position != before
            assert re.fullmatch("[A-Za-z0-9:_-]{1,256}", one.node.position)

    async def test_what_another_had_not_is_told(self, followers: Followers) -> None:
        one, two, three = followers
        before = two.node.position
        for number in range(5):
            for follower in followers:
                follower.publish(b"%d" % number)
        for follower in followers:
            for other in followers:
                await reached(other.node, follower.node)
        told = await three.missed(before)
        assert sorted(told) == sorted(three.got)
        assert await one.missed(before) == await two.missed(before) == told
        assert await one.missed(three.node.position) == []

    async def test_whoever_goes_on_elsewhere_gets_everything_once(
        self, followers: Followers
    ) -> None:
        """At any time, while every node publishes."""
        left: list[tuple[str, set[bytes]]] = []
        publishing = len(followers)

        async def publish(follower: Follower, name: bytes) -> None:
            nonlocal publishing
            for number in range(40):
                follower.publish(b"%s%02d" % (name, number))
                if number % 3:
                    follower.publish(b"%s%02d-" % (name, number))
                left.append((follower.node.position, set(follower.got)))
                for _ in range(number % 7):
                    await checkpoint()
            publishing -= 1

        async def go_on(follower: Follower) -> None:
            while publishing or left:
                if not left:
                    await checkpoint()
                    continue
                position, had = left.pop()
                has = set(follower.got)
                told = await follower.missed(position)
                assert len(told) == len(set(told))
                assert set(told) == has - had
                for name in (b"a", b"b", b"c"):
                    own = [each for each in told if each.startswith(name)]
                    assert own == sorted(own)

        async with anyio.create_task_group() as tasks:
            for follower, name in zip(followers, (b"a", b"b", b"c"), strict=True):
                tasks.start_soon(publish, follower, name)
                tasks.start_soon(go_on, follower)

    async def test_only_what_is_kept_and_asked_for_is_told(self, followers: Followers) -> None:
        one, two, _ = followers
        before = two.node.position
        channels = ("y", "комната:*", "", "\ud800")
        for channel in channels:
            for kept in (True, False, True):
                one.node.publish_nowait(channel, channel.encode("utf-8", "replace"), kept=kept)
        await reached(one.node, two.node)
        for channel in channels:
            message = channel, channel.encode("utf-8", "replace")
            assert await two.node.missed({channel: [before]}) == [message, message]
        both = await two.node.missed({"y": [before], "": [before], "other": [before]})
        assert both is not None
        assert sorted(both) == [("", b"")] * 2 + [("y", b"y")] * 2
        assert await two.node.missed({}) == []

    async def test_what_is_in_one_of_several_positions_is_not_told(
        self, followers: Followers
    ) -> None:
        one, two, three = followers
        before = one.node.position, two.node.position
        one.publish(b"1")
        two.publish(b"2")
        after = one.node.position, two.node.position
        one.publish(b"3")
        await reached(one.node, three.node)
        await reached(two.node, three.node)
        assert set(await three.missed(after[0], before[1])) == {b"2", b"3"}
        assert await three.missed(before[0], after[1]) == [b"1", b"3"]
        assert await three.missed(*after) == [b"3"]

    async def test_what_is_not_given_yet_is_not_told(self, nodes: Nodes) -> None:
        one, two, _ = nodes
        if not one.position:
            pytest.skip("not offered: a log")
        await two.subscribe("x")
        before = two.position
        one.publish_nowait("x", b"1", kept=True)
        two.publish_nowait("x", b"2", kept=True)
        assert await two.missed({"x": [before]}) == [("x", b"2")]
        async with Follower.of(two) as follower:
            await reached(one, two)
            assert follower.got == [b"1"]
            assert sorted(await follower.missed(before)) == [b"1", b"2"]

    async def test_whoever_catches_up_has_what_was_before(self, followers: Followers) -> None:
        one, two, three = followers
        one.node.publish_nowait("late", b"1", kept=True)
        await reached(one.node, three.node)
        await two.node.subscribe("late")
        await two.node.catch_up()
        joined = two.node.position
        one.node.publish_nowait("late", b"2", kept=True)
        assert await one.node.missed({"late": [joined]}) == [("late", b"2")]

    @pytest.mark.parametrize("position", _MALFORMED)
    async def test_what_is_no_position_tells_nothing(
        self, followers: Followers, position: str
    ) -> None:
        one, _, _ = followers
        assert await one.node.missed({"x": [position]}) is None
        assert await one.node.missed({"x": [one.node.position, position]}) is None
