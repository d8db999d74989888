"""Stock clients of two servers, on uvloop and on trio, with one Valkey between them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import anyio
import pytest
from anyio import to_thread

from tests.e2e.clients import SECONDS
from tests.e2e.nodes import BROKER
from tests.e2e.pairs import Pair, serving_two
from tests.e2e.ticking import readers
from tests.ledger.servers import Valkey

pytestmark = pytest.mark.anyio

APP = "tests.e2e.nodes:app"


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    """Has on disk what it answers: it may be killed between that and passing it on."""
    server = Valkey()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def nodes(valkey: Valkey) -> Iterator[Pair]:
    with serving_two(APP, BROKER, valkey.url) as both:
        yield both


async def test_a_broker_that_is_killed_while_events_flow_loses_none(
    nodes: Pair, valkey: Valkey
) -> None:
    count = 600
    async with readers(nodes) as both, anyio.create_task_group() as tasks:
        for reader, publisher in zip(both, ("one", "two"), strict=True):
            tasks.start_soon(reader.ask, "publish", {"publisher": publisher, "count": count})
        for publisher, reader in zip(("two", "one"), both, strict=True):
            await reader.until_heard(publisher, 50)
        await to_thread.run_sync(valkey.kill)
        try:
            for reader in both:
                await reader.until_ready(ready=False)
        finally:
            await to_thread.run_sync(valkey.start)
        for reader in both:
            for publisher in ("one", "two"):
                await reader.until_heard(publisher, count - 1)
                assert reader.heard[publisher] == list(range(count))
            assert await reader.is_ready()
            statistics = await reader.statistics()
            assert statistics["lostConnections"] == 1
            assert statistics["missed"] == 0
    for node in nodes:
        assert node.log.count("The other nodes are out of reach: ") == 1
        assert node.log.count("The other nodes are within reach again") == 1


async def test_a_broker_that_hangs_makes_nodes_unready_until_it_goes_on(
    nodes: Pair, valkey: Valkey
) -> None:
    async with readers(nodes) as (one, two):
        with valkey.suspended():
            for reader in (one, two):
                await reader.until_ready(ready=False)
            await one.ask("publish", {"publisher": "patient", "count": 5})
            assert one.heard["patient"] == list(range(5))  # clients of one node hear each other
        for reader in (one, two):
            await reader.until_ready(ready=True)
        await two.until_heard("patient", 4)
        assert two.heard["patient"] == list(range(5))


async def test_a_worker_emits_to_the_clients_of_both(nodes: Pair, valkey: Valkey) -> None:
    async with readers(nodes) as (one, two):
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv(BROKER, valkey.url)
            command = (sys.executable, "-m", "tests.e2e.nodes", "50")
            await to_thread.run_sync(lambda: subprocess.run(command, check=True, timeout=SECONDS))
        for reader in (one, two):
            await reader.until_heard("worker", 49)
            assert reader.heard["worker"] == list(range(50))
        await one.until_heard("private", 0)
        assert two.heard["private"] == []
