"""Two servers whose users are counted together in Valkey, on a clock that stands still."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count

import pytest
from anyio import to_thread

from lbproto import PUBLISHED_TIERS, Context, Event, Limits, Plugin, Server, Tier, Window
from lbproto.backends.redis_limits import RedisLimits
from lbproto.testing import VirtualClock
from tests.backends.stopped import StoppedClock
from tests.core.harness import Client, connected, make_server
from tests.ledger.servers import Valkey

pytestmark = pytest.mark.anyio

PATIENCE = 60.0  # seconds: the machine may be busy
FEW = Tier(Window(6, 15), Window(100, 3_600))  # three at once, then one every five seconds

_numbers = count()


class Work(Event):
    pass


class BurstOfFree(Event):
    pass


class BurstOfPro(Event):
    pass


def working() -> Plugin:
    plugin = Plugin("working")

    @plugin.on(Work)
    async def work(ctx: Context, request: Work) -> None:
        pass

    @plugin.on(BurstOfFree, weight=30)
    async def burst_of_free(ctx: Context, request: BurstOfFree) -> None:
        pass

    @plugin.on(BurstOfPro, weight=150)
    async def burst_of_pro(ctx: Context, request: BurstOfPro) -> None:
        pass

    return plugin


class Nodes:
    """Two servers, each with a store of its own on one Valkey."""

    def __init__(self, valkey: Valkey, prefix: str, clock: StoppedClock) -> None:
        self._valkey = valkey
        self._prefix = prefix
        self._clock = clock
        self.servers: list[Server] = []

    @asynccontextmanager
    async def serving(self, tier: Tier) -> AsyncIterator[list[Client]]:
        """A client of each, of one user."""
        async with AsyncExitStack() as stack:
            for _ in range(2):
                store = RedisLimits(self._valkey.url, prefix=self._prefix, timeout=PATIENCE)
                limits = Limits(tiers={"free": tier}, per_session=None, flood=None, store=store)
                server = make_server(working(), limits=limits)
                await stack.enter_async_context(server.lifespan())
                self.servers.append(server)
            yield [await connected(server) for server in self.servers]

    def pass_time(self, seconds: float) -> None:
        self._clock.move(round(seconds * 1_000_000))
        for server in self.servers:
            assert isinstance(server.clock, VirtualClock)
            server.clock.jump(seconds)

    def asked(self) -> int:
        """How often the store was asked since the last time."""
        stats = self._valkey.command("INFO", "commandstats")
        self._valkey.command("CONFIG", "RESETSTAT")
        calls: int = stats.get("cmdstat_evalsha", {"calls": 0})["calls"]
        return calls


@pytest.fixture
def nodes(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    prefix = f"nodes-{next(_numbers)}"
    clock = StoppedClock(valkey.url, prefix, monkeypatch)
    yield Nodes(valkey, prefix, clock)
    clock.close()


async def ask(client: Client, event: str = "work") -> int:
    """0 where a request is served, else its `retryAfter`."""
    *_, ack = await client.ask(event, ack=1)
    return 0 if ack.data["ok"] else int(ack.data["error"]["retryAfter"])


async def test_together_they_admit_a_windows_number(nodes: Nodes) -> None:
    async with nodes.serving(FEW) as (one, two):
        assert [await ask(client) for client in (one, two, one, two, one)] == [0, 0, 0, 5, 5]
        served = 3
        for second in range(1, 15):  # what is left of the window
            nodes.pass_time(1)
            told = [await ask(client) for client in (two, one)]
            served += told.count(0)
            assert told[1] == 5 - second % 5
        assert served == 5  # and the sixth comes with its last moment
        nodes.pass_time(0.999999)
        assert [await ask(two), await ask(one)] == [1, 1]
        nodes.pass_time(0.000001)
        assert [await ask(two), await ask(one)] == [0, 5]


@pytest.mark.parametrize("name", ["free", "pro"])
async def test_at_each_published_window_waiting_as_told_succeeds_and_a_second_less_fails(
    name: str, nodes: Nodes
) -> None:
    tier, event = PUBLISHED_TIERS[name], f"burst_of_{name}"
    seen: set[str] = set()
    async with nodes.serving(tier) as clients:
        turn = 0
        while len(seen) < 3:
            turn += 1
            *_, ack = await clients[turn % 2].ask(event, ack=1)
            if ack.data["ok"]:
                continue
            error = ack.data["error"]
            if error["message"] in seen:  # both ways were seen; on to the next window
                nodes.pass_time(error["retryAfter"])
                continue
            nodes.pass_time(error["retryAfter"] - 1)
            assert [await ask(client, event) for client in clients] == [1, 1]
            nodes.pass_time(1)
            assert await ask(clients[turn % 2], event) == 0
            seen.add(error["message"])
    numbers = {int(message.split()[5]) for message in seen}
    assert numbers == {window.number for window in tier.windows}


async def test_the_store_is_not_asked_what_a_node_knows(nodes: Nodes) -> None:
    async with nodes.serving(FEW) as (one, two):
        nodes.asked()
        assert [await ask(one) for _ in range(3)] == [0, 0, 0]
        assert nodes.asked() == 3
        assert await ask(two) == 5
        assert nodes.asked() == 1
        for _ in range(20):
            nodes.pass_time(0.2)
            assert [await ask(client) > 0 for client in (one, two)] == [True, True]
            assert await ask(one, "ping") == 0
        assert nodes.asked() == 0


async def test_while_it_is_away_each_counts_by_itself_and_after_that_together(
    nodes: Nodes, valkey: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    async with nodes.serving(FEW) as (one, two):
        assert [await ask(client) for client in (one, two)] == [0, 0]
        await to_thread.run_sync(valkey.kill)
        try:
            assert [await ask(one) for _ in range(3)] == [0, 0, 5]
            assert [await ask(two) for _ in range(3)] == [0, 5, 5]
            assert caplog.text.count("counted by this node alone") == 2  # once a node
        finally:
            await to_thread.run_sync(valkey.start)
        nodes._clock.move(0)  # it has forgotten
        nodes.pass_time(1_000)
        assert [await ask(client) for client in (one, two, two, one)] == [0, 0, 0, 5]
