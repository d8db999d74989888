"""A partition: nodes in network namespaces that reach the broker no more, and then again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    ExitStack,
    asynccontextmanager,
    contextmanager,
)
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest

from tests.e2e.clients import SECONDS
from tests.e2e.nodes import BROKER, BUFFER
from tests.e2e.partitions import BROKER_URLS, Link, broker, linked, node
from tests.e2e.ticking import Reader, connected

pytestmark = pytest.mark.anyio

APP = "tests.e2e.nodes_brisk:app"
BOUND = 300  # messages that wait for the broker at most


class Lab:
    """Two nodes, on uvloop and on trio, and what is between each of them and the broker."""

    def __init__(self, sockets: list[Path], links: list[Link]) -> None:
        self.sockets = sockets
        self.links = links

    @asynccontextmanager
    async def readers(self) -> AsyncIterator[tuple[Reader, Reader]]:
        """A client of each node, in the rooms."""
        async with AsyncExitStack() as stack:
            both = [await stack.enter_async_context(joined(path)) for path in self.sockets]
            for reader in both:
                await reader.until_ready(ready=True)
                for room in ("ticks", "hall"):
                    await reader.ask("subscribe", {"room": room})
            for reader in both:
                await until_counted(reader, 2)
            yield both[0], both[1]
            for reader in both:  # a client that is just gone counts for a while
                await reader.ask("unsubscribe", {"room": "hall"})

    @contextmanager
    def cut(self, *links: Link, **directions: bool) -> Iterator[None]:
        for link in links:
            link.cut(**directions)
        try:
            yield
        finally:
            for link in links:
                link.heal()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    directory = tmp_path_factory.mktemp("lab")
    with linked() as (hub, nodes, links), broker(hub, directory), ExitStack() as stack:
        sockets = [
            stack.enter_context(
                node(APP, inside, directory, loop, {BROKER: url, BUFFER: str(BOUND)})
            )
            for inside, url, loop in zip(nodes, BROKER_URLS, ("uvloop", "trio"), strict=True)
        ]
        yield Lab(sockets, links)


_users = (f"user-{number}" for number in count())


def joined(path: Path) -> AbstractAsyncContextManager[Reader]:
    """A client by way of a Unix socket."""
    return connected("http://node", next(_users), aiohttp.UnixConnector(path=str(path)))


async def until_counted(reader: Reader, number: int) -> None:
    """Wait until so many are in the hall, as the reader's node knows."""
    with anyio.fail_after(SECONDS):
        while True:
            if (await reader.ask("subscribe", {"room": "hall"}))["subscriberCount"] == number:
                return
            await anyio.sleep(0.05)


async def missed(reader: Reader) -> int:
    number: int = (await reader.statistics())["missed"]
    return number


@pytest.mark.parametrize(
    "directions",
    [{"to_broker": True}, {"to_node": True}, {"to_broker": True, "to_node": True}],
    ids=" ".join,
)
async def test_a_node_that_is_cut_off_loses_nothing_it_says_or_would_have_heard(
    lab: Lab, directions: dict[str, bool]
) -> None:
    async with lab.readers() as (one, two), anyio.create_task_group() as tasks:
        before = await missed(one)
        for reader, publisher in ((one, "cut"), (two, "whole")):
            publish = {"publisher": publisher, "count": 250, "seconds": 0.01}
            tasks.start_soon(reader.ask, "publish", publish)
        await one.until_heard("whole", 20)
        with lab.cut(lab.links[0], **directions):
            await one.until_ready(ready=False)
            assert await two.is_ready()
            await anyio.sleep(0.5)
        await one.until_ready(ready=True)
        for reader, publisher in ((one, "whole"), (two, "cut")):
            await reader.until_heard(publisher, 249)
            assert reader.heard[publisher] == list(range(250))
        assert await missed(one) == before


async def test_all_that_two_halves_keep_arrives_and_the_rest_is_refused(lab: Lab) -> None:
    async with lab.readers() as both:
        told: list[tuple[str, Any]] = []
        one, two = both
        for event in ("user_joined_room", "user_left_room"):
            one.client.on(event, lambda data, *_, event=event: told.append((event, data["userId"])))
        with lab.cut(*lab.links, to_broker=True, to_node=True):
            for reader in both:
                await reader.until_ready(ready=False)
            for reader in both:  # each half is on its own: the other's have left
                await until_counted(reader, 1)
            async with joined(lab.sockets[1]) as late:
                await late.ask("subscribe", {"room": "hall"})
                for reader, publisher in zip(both, ("one", "two"), strict=True):
                    request = {"publisher": publisher, "count": 2 * BOUND, "seconds": 0}
                    answer = await reader.client.call("publish", request, timeout=SECONDS)
                    assert answer["error"]["code"] == "OVERLOADED"
                    assert answer["error"]["retryAfter"] == 1
                    statistics = await reader.statistics()
                    assert statistics["queued"] == BOUND
                    assert statistics["refused"] >= 1
                for link in lab.links:
                    link.heal()
                for reader in both:
                    await reader.until_ready(ready=True)
                    await until_counted(reader, 3)
                await late.ask("unsubscribe", {"room": "hall"})
        await until_counted(one, 2)
        await one.until_heard("two", 1)
        for publisher, local, remote in (("one", one, two), ("two", two, one)):
            kept = local.heard[publisher]
            await remote.until_heard(publisher, kept[-1])
            assert remote.heard[publisher] == kept == list(range(len(kept)))
        names = [event for event, _ in told]
        assert names == ["user_left_room", "user_joined_room", "user_joined_room", "user_left_room"]
