"""Stock clients of two servers, on uvloop and on trio, that count together in a Valkey."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
import socketio
from anyio import to_thread

from tests.e2e.clients import SECONDS
from tests.e2e.limiting_nodes import STORE
from tests.e2e.pairs import Pair, connecting, serving_two
from tests.ledger.servers import Valkey

pytestmark = pytest.mark.anyio

APP = "tests.e2e.limiting_nodes:app"


@pytest.fixture(scope="module")
def nodes(valkey: Valkey) -> Iterator[Pair]:
    with serving_two(APP, STORE, valkey.url) as both:
        yield both


@asynccontextmanager
async def clients(nodes: Pair, user: str) -> AsyncIterator[list[socketio.AsyncClient]]:
    """A client of each node, of one user."""
    both = [socketio.AsyncClient(reconnection=False) for _ in nodes]
    with anyio.fail_after(SECONDS):
        async with connecting(both, nodes, [user] * len(both)):
            yield both


async def ask(client: socketio.AsyncClient) -> int:
    """0 where a request is served, else its `retryAfter`."""
    answer: Any = await client.call("echo", {"text": "a"}, timeout=SECONDS)
    return 0 if answer["ok"] else int(answer["error"]["retryAfter"])


async def test_together_they_admit_a_windows_number(nodes: Pair) -> None:
    async with clients(nodes, "slow-ada") as (one, two):
        assert [await ask(client) for client in (one, two)] == [0, 0]
        for client in (two, one, two):
            assert 290 <= await ask(client) <= 300  # the clock goes on


async def test_whoever_waits_as_one_node_says_is_served_by_the_other(nodes: Pair) -> None:
    async with clients(nodes, "quick-ada") as (one, two):
        served = 0
        while not (seconds := await ask(one)):
            served += 1
        assert served >= 2
        assert 1 <= seconds <= 2
        await anyio.sleep(seconds)
        assert await ask(two) == 0


async def test_while_the_store_is_away_each_counts_by_itself_and_after_that_together(
    nodes: Pair, valkey: Valkey
) -> None:
    async with clients(nodes, "slow-bob") as bobs, clients(nodes, "slow-eve") as eves:
        await to_thread.run_sync(valkey.kill)
        try:
            for client in bobs:
                assert [bool(await ask(client)) for _ in range(3)] == [False, False, True]
        finally:
            await to_thread.run_sync(valkey.start)
        one, two = eves
        assert [bool(await ask(client)) for client in (one, two, one, two)] == [
            *(False, False),
            *(True, True),
        ]
    for node in nodes:
        assert node.log.count("counted by this node alone") == 1
