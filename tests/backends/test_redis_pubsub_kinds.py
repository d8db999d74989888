"""Pub/sub over a cluster, by way of a Sentinel, and by TLS."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from anyio import to_thread
from redis.crc import key_slot

from lbproto.backends.redis_log import tags
from lbproto.backends.redis_pubsub import RedisPubSub
from lbproto.testing.pubsub import Inbox
from tests.backends.redis_kinds import Cluster, encrypted, sentinel
from tests.backends.redis_limiting import until
from tests.ledger.servers import Valkey
from tests.serving import free_port

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("brisk")]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    servers = Cluster()
    yield servers
    servers.stop()


CHANNELS = [f"room-{number}" for number in range(60)]


async def exchange(one: RedisPubSub, inbox: Inbox, payload: bytes) -> None:
    """What is published to every channel arrives."""
    for channel in CHANNELS:
        one.publish_nowait(channel, payload, kept=True)
    assert {await inbox.take() for _ in CHANNELS} == {(each, payload) for each in CHANNELS}


def published(server: Valkey) -> int:
    stats = server.command("INFO", "commandstats")
    calls: int = stats.get("cmdstat_spublish", {"calls": 0})["calls"]
    return calls


async def test_each_channel_is_its_shards(cluster: Cluster, prefix: str) -> None:
    one, two = (RedisPubSub(cluster.url, prefix=prefix, shards=3) for _ in range(2))
    async with one, two, Inbox.of(two) as inbox:
        for server in cluster.servers:
            server.command("CONFIG", "RESETSTAT")
        for channel in CHANNELS:
            await two.subscribe(channel)
        before = two.position
        await exchange(one, inbox, b"1")
        counts = list(map(published, cluster.servers))
        assert sum(counts) >= len(CHANNELS)
        assert all(5 < count < 40 for count in counts)
        missed = await two.missed({channel: [before] for channel in CHANNELS})
        assert missed is not None
        assert sorted(missed) == sorted((channel, b"1") for channel in CHANNELS)


async def test_a_shard_that_is_lost_comes_back(cluster: Cluster, prefix: str) -> None:
    urls = f"redis://127.0.0.1:{free_port()}/0", cluster.url  # the first is not there
    one, two = (RedisPubSub(*urls, prefix=prefix) for _ in range(2))
    async with one, two, Inbox.of(two) as inbox:
        for channel in CHANNELS:
            await two.subscribe(channel)
        await to_thread.run_sync(cluster.servers[2].kill)
        try:
            await until(lambda: not one.ready and not two.ready)
        finally:
            await to_thread.run_sync(cluster.servers[2].start)
            await to_thread.run_sync(cluster.wait_whole)
        await until(lambda: one.ready and two.ready)
        await exchange(one, inbox, b"1")


def is_back(pubsub: RedisPubSub, times: int) -> bool:
    """Whether it has lost its connection so many times, and has another."""
    return pubsub.ready and pubsub.statistics().lost_connections >= times


async def test_a_slot_that_moves_is_followed(cluster: Cluster, prefix: str) -> None:
    """Its log comes with it."""
    one, two = (RedisPubSub(cluster.url, prefix=prefix, shards=3) for _ in range(2))
    async with one, two, Inbox.of(two) as inbox:
        for channel in CHANNELS:
            await two.subscribe(channel)
        before = two.position
        slot = key_slot(tags(3)[0].encode())
        for moves, target in enumerate((cluster.servers[1], cluster.servers[0]), 1):
            await to_thread.run_sync(cluster.move, slot, target)
            await until(partial(is_back, two, moves))
            await exchange(one, inbox, b"1")
        missed = await two.missed({channel: [before] for channel in CHANNELS})
        assert missed is not None
        assert len(missed) == 2 * len(CHANNELS)


async def test_a_sentinel_knows_where_it_is(valkey: Valkey, prefix: str) -> None:
    with sentinel(valkey, "events") as url:
        one, two = (RedisPubSub(url, prefix=prefix, service="events") for _ in range(2))
        async with one, two, Inbox.of(two) as inbox:
            for channel in CHANNELS:
                await two.subscribe(channel)
            await exchange(one, inbox, b"1")
        async with RedisPubSub(url, prefix=prefix, service="another") as lost:
            assert not lost.ready


async def test_by_tls(valkey: Valkey, prefix: str, tmp_path: Path) -> None:
    async with encrypted(valkey, tmp_path) as url:
        one, two = (RedisPubSub(url, prefix=prefix) for _ in range(2))
        async with one, two, Inbox.of(two) as inbox:
            for channel in CHANNELS:
                await two.subscribe(channel)
            await exchange(one, inbox, b"1" * 10_000)
        async with RedisPubSub(url.partition("?")[0], prefix=prefix) as distrustful:
            assert not distrustful.ready
