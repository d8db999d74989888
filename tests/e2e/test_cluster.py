"""Two servers on a Redis Cluster of three: one of these is lost for good, a slot moves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio import to_thread
from redis.crc import key_slot

from lbproto.backends.redis_log import shard_of, tags
from tests.backends.redis_kinds import Cluster
from tests.e2e.nodes import BROKER
from tests.e2e.pairs import Pair, serving_two
from tests.e2e.ticking import Reader, readers

pytestmark = pytest.mark.anyio

APP = "tests.e2e.nodes:app"
COUNT = 400  # ticks of each publisher


def _room_of(shard: int) -> str:
    names = (f"ticks:{number}" for number in range(1_000))
    return next(name for name in names if shard_of(name, 3) == shard)


ROOMS = [_room_of(shard) for shard in range(3)]
"""One of each server's."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    servers = Cluster(node_timeout=500)
    yield servers
    servers.stop()


@pytest.fixture(scope="module")
def nodes(cluster: Cluster) -> Iterator[Pair]:
    with serving_two(APP, BROKER, " ".join(server.url for server in cluster.servers)) as both:
        yield both


@asynccontextmanager
async def publishing(nodes: Pair) -> AsyncIterator[tuple[Reader, Reader]]:
    """Each node publishes to the rooms of all three servers while its client reads them.

    In the end all have come to both in order and once, and nothing was missed.
    """
    async with readers(nodes, ROOMS) as both:
        for reader in both:
            await reader.until_ready(ready=True)
        async with anyio.create_task_group() as tasks:
            for number, reader in enumerate(both):
                request = {"publisher": str(number), "rooms": ROOMS, "count": COUNT}
                tasks.start_soon(reader.ask, "publish", {**request, "seconds": 0.01})
            for number, reader in enumerate(both):
                await reader.until_heard(f"{1 - number} {ROOMS[0]}", 30)
            yield both
        for reader in both:
            for publisher in (f"{number} {room}" for number in range(2) for room in ROOMS):
                await reader.until_heard(publisher, COUNT - 1)
                assert reader.heard[publisher] == list(range(COUNT)), publisher
            assert (await reader.statistics())["missed"] == 0


async def in_thread(work: Callable[[], object]) -> None:
    await to_thread.run_sync(work)


async def test_a_slot_that_moves_under_traffic_is_followed(cluster: Cluster, nodes: Pair) -> None:
    source, target = cluster.servers[0], cluster.servers[1]
    moving = int(key_slot(tags(3)[0].encode()))
    async with publishing(nodes) as both:
        before = [(await reader.statistics())["lostConnections"] for reader in both]
        await in_thread(lambda: cluster.move(moving, target))
        for reader, lost in zip(both, before, strict=True):
            await reader.until_lost(lost + 1)
            await reader.until_ready(ready=True)
    assert source.command("CLUSTER", "COUNTKEYSINSLOT", str(moving)) == 0
    assert target.command("CLUSTER", "COUNTKEYSINSLOT", str(moving)) > 0


async def test_a_server_that_is_lost_for_good_is_taken_over(cluster: Cluster, nodes: Pair) -> None:
    heir = await to_thread.run_sync(cluster.add_replica, cluster.servers[2])
    async with publishing(nodes) as both:
        await in_thread(cluster.servers[2].kill)
        for reader in both:
            await reader.until_ready(ready=False)
        for reader in both:
            await reader.until_ready(ready=True)
    assert heir.command("INFO", "replication")["role"] == "master"
