"""Three nodes by way of a real Valkey: what one of them knows, all of them do."""

from __future__ import annotations

from contextlib import AsyncExitStack

import anyio
import pytest

from lbproto import Context, Job, Plugin, Server, SystemClock
from lbproto.backends.redis_pubsub import RedisPubSub
from tests.backends.redis_limiting import PATIENCE, until
from tests.core.harness import Client, Sent, connected, running
from tests.core.working import Dig, DigResponse, Site
from tests.ledger.servers import Valkey

pytestmark = pytest.mark.anyio


def hall() -> Plugin:
    plugin = Plugin("hall")

    @plugin.room("hall")
    async def join(ctx: Context) -> None: ...

    return plugin


class Reader:
    """A client that keeps what it was sent."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.got: list[Sent] = []

    def names(self) -> list[str]:
        self.got += self.client.take()
        return [sent.name for sent in self.got]


async def test_nodes_have_one_truth(valkey: Valkey, prefix: str) -> None:
    go_on = anyio.Event()

    async def dig(job: Job[Dig]) -> None:
        await job.send(DigResponse(job_id=job.id, found="a coin"))
        await go_on.wait()

    site = Site(dig)
    async with AsyncExitStack() as stack:
        servers: list[Server] = []
        for _ in range(3):
            pubsub = RedisPubSub(valkey.url, prefix=prefix, timeout=PATIENCE)
            run = running(hall(), site.plugin(), pubsub=pubsub, clock=SystemClock())
            servers.append(await stack.enter_async_context(run))
        await until(lambda: all(len(each._control._roster.nodes) == 2 for each in servers))
        ada, bob, cy = readers = [
            Reader(await connected(server, user))
            for server, user in zip(servers, ("ada", "bob", "cy"), strict=True)
        ]
        for reader in readers:
            await reader.client.send("subscribe", {"room": "hall"})
        await until(lambda: all(each._membership.count("hall") == 3 for each in servers))
        await until(lambda: ada.names().count("user_joined_room") == 2)

        assert {member.user_id for member in await servers[1].members("hall")} == {
            "ada",
            "bob",
            "cy",
        }
        assert await servers[0].kick("cy", "hall") == 1
        await until(lambda: "unsubscribed" in cy.names())
        await until(lambda: "user_left_room" in ada.names())

        await ada.client.send("dig", {"depth": 1})
        await until(lambda: "dig_response" in ada.names())
        other = Reader(await connected(servers[2], "ada"))
        await other.client.send("attach", {"id": site.jobs[0].id})
        go_on.set()
        await until(lambda: "dig_completed" in other.names())
        assert [name for name in ada.names() if name.startswith("dig")] == other.names()[1:]
        assert bob.names().count("user_left_room") == 1
