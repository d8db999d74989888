"""Pub/sub over Valkey: a server that is away, hangs, forgets, or does not let anybody in."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import anyio
import pytest
from anyio import to_thread

from lbproto import LimitExceeded, Overloaded, UsageError
from lbproto.backends.redis_pubsub import RedisPubSub
from lbproto.testing.pubsub import Inbox
from tests.backends.redis_limiting import PATIENCE, until
from tests.ledger.servers import Valkey
from tests.serving import free_port

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("brisk")]

MakePubSub = Callable[..., RedisPubSub]


@pytest.fixture
def make(valkey: Valkey, prefix: str) -> MakePubSub:
    return partial(RedisPubSub, valkey.url, prefix=prefix)


@asynccontextmanager
async def listening(one: RedisPubSub, two: RedisPubSub) -> AsyncIterator[Inbox]:
    """What the second one receives of "x"."""
    async with one, two, Inbox.of(two) as inbox:
        await two.subscribe("x")
        yield inbox


async def taken(inbox: Inbox, number: int) -> list[int]:
    return [int((await inbox.take())[1][:6]) for _ in range(number)]


def user(valkey: Valkey, name: str, *rights: str) -> str:
    """The URL by which a new user is let in; the password is "right"."""
    valkey.command("ACL", "SETUSER", name, "on", ">right", *rights)
    return valkey.url.replace("//", f"//{name}:right@")


# Who is let in


@pytest.mark.parametrize(
    "rights",
    [
        "-@all",
        "~* &* +@all -ssubscribe",
        "~* &* +@all -spublish",
        "~* &* +@all -hset",
        "~* +@all",
        "&* +@all",
    ],
)
async def test_a_user_who_is_not_let_in(rights: str, valkey: Valkey, prefix: str) -> None:
    right = user(valkey, prefix, "resetchannels", *rights.split())
    for url in (right.replace(":right@", ":wrong@"), right):
        with pytest.raises(UsageError, match="Redis refuses the connection") as caught:
            await RedisPubSub(url, prefix=prefix).__aenter__()
        assert "right" not in str(caught.value)
        assert "wrong" not in str(caught.value)


RIGHTS = (
    "+@pubsub +hello +eval +evalsha +time +hmget +hset +get +set +del +xadd +xrange +xdel +pexpire"
)


async def test_these_rights_suffice(valkey: Valkey, prefix: str) -> None:
    url = user(valkey, prefix, f"~{prefix}:*", f"&{prefix}:*", *RIGHTS.split())
    one, two = (RedisPubSub(url, prefix=prefix, max_kept=1) for _ in range(2))
    async with listening(one, two) as inbox:
        before = two.position
        valkey.command("SCRIPT", "FLUSH")
        for number in range(3):
            one.publish_nowait("x", b"%d" % number, kept=True)
            assert await taken(inbox, 1) == [number]
        assert await two.missed({"x": [before]}) is None
        assert await two.missed({"x": [two.position]}) == []


async def test_a_user_who_is_let_in_no_more_is_as_good_as_no_server(
    make: MakePubSub, valkey: Valkey, prefix: str
) -> None:
    """What it would have heard, it gets once it is let in."""
    url = user(valkey, prefix, "allkeys", "allchannels", "+@all")
    two = RedisPubSub(url, prefix=prefix)
    async with listening(make(), two) as inbox, make() as one:
        for number in range(10):
            if number == 3:
                valkey.command("ACL", "SETUSER", prefix, "off")
                valkey.command("CLIENT", "KILL", "USER", prefix)
                await until(lambda: not two.ready)
            if number == 7:
                valkey.command("ACL", "SETUSER", prefix, "on")
                await until(lambda: two.ready)
            one.publish_nowait("x", b"%d" % number)
            await until(lambda: not one.statistics().queued_messages)
        assert await taken(inbox, 10) == list(range(10))
        statistics = two.statistics()
        assert (statistics.missed, statistics.received) == (0, 10)
        assert statistics.lost_connections == 1


# A server that is away


async def test_a_server_that_is_not_there_keeps_no_node_from_starting(
    prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"redis://127.0.0.1:{free_port()}/0"
    async with RedisPubSub(url, prefix=prefix) as pubsub:
        assert not pubsub.ready
        await pubsub.subscribe("x")
        pubsub.publish_nowait("x", b"1")
        assert pubsub.statistics().queued_messages == 1
    assert pubsub.statistics().dropped == 1
    assert caplog.text.count("The other nodes are out of reach: ") == 1
    assert caplog.text.count("1 messages to the other nodes were not sent in the end") == 1


async def test_a_replica_is_waited_for_until_it_is_none(make: MakePubSub, valkey: Valkey) -> None:
    valkey.command("REPLICAOF", "127.0.0.1", str(free_port()))
    try:
        async with make() as pubsub:
            assert not pubsub.ready
            valkey.command("REPLICAOF", "NO", "ONE")
            await until(lambda: pubsub.ready)
    finally:
        valkey.command("REPLICAOF", "NO", "ONE")


async def test_a_server_that_hangs_is_passed_over(
    make: MakePubSub, valkey: Valkey, prefix: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        url = f"redis://127.0.0.1:{hanging.getsockname()[1]}"
        async with RedisPubSub(url, valkey.url, prefix=prefix, timeout=1.0) as pubsub:
            await until(lambda: pubsub.ready)


async def test_a_blip_loses_nothing(
    durable: Valkey, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = (RedisPubSub(durable.url, prefix=prefix) for _ in range(2))
    async with listening(one, two) as inbox:
        number = 0

        async def publish() -> None:
            nonlocal number
            while number < 300:
                one.publish_nowait("x", b"%d" % number)
                number += 1
                await anyio.sleep(0.001)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(publish)
            await until(lambda: number > 50)
            received = await taken(inbox, 30)
            await to_thread.run_sync(durable.kill)
            await until(lambda: not one.ready and not two.ready)
            await two.subscribe("y")
            await to_thread.run_sync(durable.start)
        received += await taken(inbox, 270)
        assert received == list(range(300))
        assert two.ready
        one.publish_nowait("y", b"300")
        assert await taken(inbox, 1) == [300]
        await until(lambda: not one.statistics().queued_messages)
        statistics = one.statistics(), two.statistics()
        assert [each.lost_connections for each in statistics] == [1, 1]
        assert [each.missed for each in statistics] == [0, 0]
        assert statistics[0].published == 301
        assert statistics[0].parcels <= 300
    assert caplog.text.count("The other nodes are out of reach: ") == 2
    assert caplog.text.count("The other nodes are within reach again") == 2


@pytest.mark.parametrize("bounds", [{"max_messages": 20}, {"max_bytes": 20 * 1_006}], ids=str)
async def test_what_hangs_for_too_long_is_refused_and_counted(
    bounds: dict[str, int], make: MakePubSub, valkey: Valkey
) -> None:
    one, two = make(**bounds), make()
    async with listening(one, two) as inbox:
        with valkey.suspended():
            for number in range(20):
                one.publish_nowait("x", b"%06d" % number + b"x" * 1_000)
            for _ in range(3):
                with pytest.raises(Overloaded, match="The buffer to the broker is full"):
                    one.publish_nowait("x", b"%06d" % 20 + b"x" * 1_000)
            statistics = one.statistics()
            assert (statistics.refused, statistics.queued_messages) == (3, 20)
            assert statistics.queued_bytes == 20 * 1_006
        assert await taken(inbox, 20) == list(range(20))
        await until(lambda: not one.statistics().queued_bytes)
        one.publish_nowait("x", b"20")
        assert await taken(inbox, 1) == [20]


async def test_a_node_that_is_deaf_says_so_and_finds_back(make: MakePubSub, valkey: Valkey) -> None:
    """The connections stay open: it is only by what does not come back that they are known."""
    one, two = (make(timeout=0.3, heartbeat=0.05) for _ in range(2))
    async with listening(one, two) as inbox:
        with valkey.suspended():
            one.publish_nowait("x", b"1")
            await until(lambda: not one.ready and not two.ready)
            await two.subscribe("y")  # no longer than the others
            one.publish_nowait("x", b"2")
        await until(lambda: one.ready and two.ready)
        assert await taken(inbox, 2) == [1, 2]  # the first came twice, perhaps
        assert one.statistics().lost_connections >= 1


async def test_behind_a_silence_those_are_waited_for_who_find_back_late(
    make: MakePubSub, valkey: Valkey, prefix: str
) -> None:
    one = make(timeout=0.3, heartbeat=0.05)
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        url = f"redis://127.0.0.1:{hanging.getsockname()[1]}"  # a second is lost there each time
        late = RedisPubSub(url, valkey.url, prefix=prefix, timeout=2.0, heartbeat=0.05)
        async with listening(one, late) as inbox:
            with valkey.suspended():
                await until(lambda: not one.ready and not late.ready)
                one.publish_nowait("x", b"1")
            assert await taken(inbox, 1) == [1]


async def test_thousands_of_channels_are_subscribed_to_again(
    make: MakePubSub, valkey: Valkey
) -> None:
    one, two = make(), make()
    async with listening(one, two) as inbox:
        channels = [f"room-{number}" for number in range(2_000)]
        async with anyio.create_task_group() as tasks:
            for channel in channels:
                tasks.start_soon(two.subscribe, channel)
        valkey.command("CLIENT", "KILL", "TYPE", "pubsub")
        await until(lambda: two.statistics().lost_connections == 1 and two.ready and one.ready)
        for channel in channels:
            one.publish_nowait(channel, b"")
        assert {(await inbox.take())[0] for _ in channels} == set(channels)


# What is not sent, and what is not read


async def test_what_is_too_large_is_refused(make: MakePubSub) -> None:
    one, two = make(max_payload=1_000), make()
    async with listening(one, two) as inbox:
        with pytest.raises(LimitExceeded, match="1001 bytes is larger than the 1000"):
            one.publish_nowait("x", bytes(1_001))
        one.publish_nowait("x", b"0" * 1_000)
        assert await taken(inbox, 1) == [0]


@pytest.mark.parametrize("data", [b"", b"{}", b"1 1", b"1 x \x90", b"%d %d \xc1"], ids=repr)
async def test_what_no_node_has_published_is_logged(
    data: bytes,
    make: MakePubSub,
    valkey: Valkey,
    prefix: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    one, two = make(), make()
    async with listening(one, two):
        if b"%" in data:
            epoch, number = valkey.command("HMGET", f"{prefix}:{{0}}:head", "epoch", "number")
            data %= int(epoch), int(number) + 1
        with valkey._server.client() as client:
            client.execute_command("SPUBLISH", f"{prefix}:{{0}}:room:x", data)
        await until(lambda: "is not a message of a node" in caplog.text)
        assert two.ready


async def test_what_was_published_is_sent_before_it_is_left(make: MakePubSub) -> None:
    one, two = make(), make()
    async with two, Inbox.of(two) as inbox:
        await two.subscribe("x")
        async with one:
            for number in range(100):
                one.publish_nowait("x", b"%d" % number)
        assert await taken(inbox, 100) == list(range(100))


async def test_outside_its_block_it_says_so(make: MakePubSub) -> None:
    pubsub = make()
    async with pubsub:
        pass
    with pytest.raises(UsageError, match="async with"):
        pubsub.publish_nowait("x", b"")


async def test_what_is_published_together_travels_together(
    make: MakePubSub, valkey: Valkey
) -> None:
    one, two = make(heartbeat=PATIENCE), make(heartbeat=PATIENCE)
    async with listening(one, two) as inbox:
        valkey.command("CONFIG", "RESETSTAT")
        for turn in range(5):
            for number in range(20):
                one.publish_nowait("x" if number % 2 else "y", b"%d" % number)
            assert await taken(inbox, 10) == list(range(1, 20, 2)), turn
        assert valkey.command("INFO", "commandstats")["cmdstat_spublish"]["calls"] == 10
        statistics = one.statistics()
        assert (statistics.published, statistics.parcels) == (100, 10)


# Servers of other kinds


async def test_a_server_that_knows_no_shards(prefix: str) -> None:
    older = await to_thread.run_sync(lambda: Valkey(**{"rename-command": 'SPUBLISH ""'}))
    try:
        one, two = (RedisPubSub(older.url, prefix=prefix) for _ in range(2))
        async with listening(one, two) as inbox:
            for number in range(3):
                one.publish_nowait("x", b"%d" % number)
            assert await taken(inbox, 3) == [0, 1, 2]
            await two.unsubscribe("x")
            await two.subscribe("x")
            one.publish_nowait("x", b"3")
            assert await taken(inbox, 1) == [3]
            assert "cmdstat_publish" in older.command("INFO", "commandstats")
    finally:
        await to_thread.run_sync(older.stop)


def test_what_it_is_made_of_is_looked_at() -> None:
    with pytest.raises(UsageError, match="needs the URL"):
        RedisPubSub()
    with pytest.raises(UsageError, match="braces"):
        RedisPubSub("redis://127.0.0.1", prefix="{a}")
    with pytest.raises(ValueError, match="scheme"):
        RedisPubSub("http://127.0.0.1")
