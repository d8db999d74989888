"""Nodes that share a market's feeds: one runs them, all serve."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.abc import TaskStatus

from lbproto import Overloaded, Server
from lbproto.backends.memory import MemoryBroker, MemoryPubSub, MemoryStorage
from lbproto.messages import Subscribe, Subscribed, Unsubscribe, Unsubscribed
from lbproto.testing import Client, Serve, VirtualClock, connect
from lbproto_market import (
    MarketChartInitialData,
    MarketChartLiveUpdate,
    MarketDataError,
    MarketDataResponse,
    MarketSymbols,
    MarketSymbolsResponse,
    Nodes,
    RequestMarketData,
    market,
)

if TYPE_CHECKING:
    from conftest import HandFeed

pytestmark = pytest.mark.anyio

LEASE = 4.0
ROOM = "market:ETH-USDT"
CANDLES = RequestMarketData(symbol="ETH-USDT", resolution="1m")


LEADER = "market/leader"


class FailingStorage(MemoryStorage):
    """Out of reach when a test says so.

    Attributes:
        candidate: the one node that may have the lease; None: any.
    """

    fails = False
    candidate: bytes | None = None

    async def get(self, key: str) -> bytes | None:
        if self.fails:
            raise Overloaded("away")
        return await super().get(key)

    async def put_new(self, key: str, value: bytes, *, ttl: float | None = None) -> bool:
        if self.fails:
            raise Overloaded("away")
        if key == LEADER and self.candidate not in (None, value):
            return False
        return await super().put_new(key, value, ttl=ttl)


class NotingPubSub(MemoryPubSub):
    """Notes what is published to rooms of the market."""

    def __init__(self, broker: MemoryBroker, rooms: set[str]) -> None:
        super().__init__(broker)
        self._rooms = rooms

    def publish_nowait(self, channel: str, payload: bytes, *, kept: bool = False) -> None:
        if channel.startswith("market"):
            self._rooms.add(channel)
        super().publish_nowait(channel, payload, kept=kept)


class Cluster:
    """Nodes, each with a feed of its own that a test puts trades into.

    Attributes:
        feeds: theirs, in the order in which they came.
        new_feed: makes the next one.
        rooms: those that something was told.
    """

    def __init__(self, serve: Serve, clock: VirtualClock, new_feed: type[HandFeed]) -> None:
        self.clock = clock
        self.storage = FailingStorage(clock)
        self.broker = MemoryBroker()
        self.feeds: list[HandFeed] = []
        self.rooms: set[str] = set()
        self._servers = MemoryBroker()
        self._serve = serve
        self.new_feed = new_feed

    @asynccontextmanager
    async def node(self) -> AsyncIterator[Server]:
        feed = self.new_feed()
        self.feeds.append(feed)
        nodes = Nodes(self.storage, MemoryPubSub(self.broker), lease=LEASE)
        plugin = market(feed, nodes=nodes, patience=1, linger=1)
        pubsub = NotingPubSub(self._servers, self.rooms)
        async with self._serve(plugin, pubsub=pubsub, storage=self.storage) as server:
            yield server

    @property
    def running(self) -> list[set[str]]:
        """The symbols that each node's feed runs for."""
        return [feed.running for feed in self.feeds]


@pytest.fixture
def cluster(serve: Serve, clock: VirtualClock, new_feed: type[HandFeed]) -> Cluster:
    return Cluster(serve, clock, new_feed)


@asynccontextmanager
async def two(cluster: Cluster) -> AsyncIterator[tuple[anyio.Event, Client, Client]]:
    """A client of each of two nodes, the first of which leads, and leaves once the event is set."""
    leave = anyio.Event()

    async def first(*, task_status: TaskStatus[Server]) -> None:
        async with cluster.node() as server:
            task_status.started(server)
            await leave.wait()

    async with anyio.create_task_group() as tasks:
        one: Server = await tasks.start(first)
        async with (
            cluster.node() as other,
            connect(one, "ada") as ada,
            connect(other, "bob") as bob,
        ):
            yield leave, ada, bob
        leave.set()


async def _join(client: Client) -> MarketChartInitialData:
    await client.request(Subscribe(room=ROOM), Subscribed)
    return await client.expect(MarketChartInitialData)


async def test_one_runs_the_feeds_and_all_serve(cluster: Cluster) -> None:
    async with two(cluster) as (_, ada, bob):
        chart = await _join(bob)
        assert cluster.running == [{"ETH-USDT"}, set()]
        assert await _join(ada) == chart
        assert [candle.close for candle in chart.series] == [10.0]

        await cluster.clock.advance(1)
        cluster.feeds[0].trade(60_500, 12)
        for client in (ada, bob):
            await client.expect(MarketChartLiveUpdate, close=10.0, closed=True)
            await client.expect(MarketChartLiveUpdate, close=12.0, closed=False)
            await client.expect_nothing(seconds=1)
        answers = [await client.request(CANDLES, MarketDataResponse) for client in (ada, bob)]
        assert answers[0] == answers[1]
        listed = await bob.request(MarketSymbols(), MarketSymbolsResponse)
        assert {each.symbol: each.live for each in listed.symbols} == {
            "BTC-USDT": False,
            "ETH-USDT": True,
        }


async def test_feeds_run_while_clients_of_any_node_look(cluster: Cluster) -> None:
    async with two(cluster) as (_, ada, bob):
        await _join(ada)
        await _join(bob)
        ada.close()
        await cluster.clock.advance(3 * LEASE)
        assert cluster.running == [{"ETH-USDT"}, set()]
        bob.close()
        await cluster.clock.advance(LEASE)
        assert cluster.running == [set(), set()]


async def test_only_those_rooms_are_told_that_somebody_is_in_or_was(cluster: Cluster) -> None:
    async with two(cluster) as (_, _ada, bob):
        await _join(bob)
        cluster.feeds[0].trade(60_500, 12)
        await bob.expect(MarketChartLiveUpdate)
        assert cluster.rooms == {ROOM}
        await bob.request(Subscribe(room=f"{ROOM}:1s"), Subscribed)
        await bob.request(Unsubscribe(room=ROOM), Unsubscribed)
        for at, told in enumerate([{ROOM, f"{ROOM}:1s"}, {f"{ROOM}:1s"}]):
            cluster.rooms.clear()
            cluster.feeds[0].trade(120_500 + at * 60_000, 13)
            await cluster.clock.advance(200)
            assert cluster.rooms == told


@pytest.mark.parametrize("asked", [{"symbol": "none"}, {"resolution": "2m"}], ids=str)
async def test_a_refusal_is_the_leaders(cluster: Cluster, asked: dict[str, Any]) -> None:
    async with two(cluster) as (_, _ada, bob):
        bob.emit(RequestMarketData(**{"symbol": "ETH-USDT", "resolution": "1m", **asked}))
        assert (await bob.expect(MarketDataError)).code == "NOT_FOUND"


async def test_a_leader_that_leaves_is_succeeded(cluster: Cluster) -> None:
    async with two(cluster) as (leave, _ada, bob):
        await _join(bob)
        leave.set()
        await cluster.clock.advance(LEASE)
        assert cluster.running == [set(), {"ETH-USDT"}]
        cluster.feeds[1].trade(2_000, 15)
        updates = [await bob.expect(MarketChartLiveUpdate)]
        while updates[-1].close != 15.0:
            updates.append(await bob.expect(MarketChartLiveUpdate))
        answer = await bob.request(CANDLES, MarketDataResponse)
        assert [candle.close for candle in answer.candles] == [15.0]


async def test_what_is_asked_while_nobody_leads_the_next_one_answers(cluster: Cluster) -> None:
    async with two(cluster) as (_, ada, bob):
        await cluster.storage.put(LEADER, b"one that is dead", ttl=LEASE)
        await cluster.clock.advance(LEASE / 2)
        for client in (ada, bob):
            client.emit(CANDLES)
        await cluster.clock.advance(LEASE)
        for client in (ada, bob):
            assert (await client.expect(MarketDataResponse)).candles
        assert sum(feed.runs["ETH-USDT"] for feed in cluster.feeds) == 1


async def test_what_is_asked_meanwhile_one_that_leads_again_answers(cluster: Cluster) -> None:
    async with two(cluster) as (_, _ada, bob):
        await cluster.clock.advance(LEASE)
        cluster.storage.candidate = await cluster.storage.get(LEADER)
        await cluster.storage.put(LEADER, b"nobody", ttl=LEASE)
        await cluster.clock.advance(LEASE / 2)
        bob.emit(CANDLES)
        await cluster.clock.advance(LEASE)
        assert (await bob.expect(MarketDataResponse)).candles


async def test_one_that_leads_again_tells_only_rooms_that_somebody_is_in(cluster: Cluster) -> None:
    async with two(cluster) as (_, ada, _bob):
        await _join(ada)
        cluster.storage.candidate = await cluster.storage.get(LEADER)
        await cluster.storage.put(LEADER, b"nobody", ttl=LEASE)
        await cluster.clock.advance(2 * LEASE)
        assert cluster.running == [{"ETH-USDT"}, set()]
        await ada.request(Subscribe(room=f"{ROOM}:1s"), Subscribed)
        await ada.request(Unsubscribe(room=ROOM), Unsubscribed)
        await cluster.clock.advance(200)
        cluster.rooms.clear()
        cluster.feeds[0].trade(300_500, 13)
        await cluster.clock.advance(1)
        assert cluster.rooms == {f"{ROOM}:1s"}


async def test_a_leader_that_cannot_renew_its_lease_stops_in_time(cluster: Cluster) -> None:
    async with two(cluster) as (_, ada, bob):
        await _join(ada)
        assert cluster.running == [{"ETH-USDT"}, set()]
        cluster.storage.fails = True
        await cluster.clock.advance(LEASE)
        assert cluster.running == [set(), set()]
        bob.emit(CANDLES)
        await cluster.clock.advance(2 * LEASE)
        error = await bob.expect(MarketDataError)
        assert (error.code, error.retry_after) == ("OVERLOADED", LEASE)
        cluster.storage.fails = False
        await cluster.clock.advance(LEASE)
        assert sum(map(len, cluster.running)) == 1


async def test_what_is_no_message_of_a_node_is_logged(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    async with two(cluster) as (_, _ada, bob), MemoryPubSub(cluster.broker) as stranger:
        stranger.publish_nowait("market", b"\xc1")
        assert (await _join(bob)).series
    assert "was not published by a node" in caplog.text


async def test_a_feed_that_can_never_run_keeps_every_node_from_starting(
    cluster: Cluster, new_feed: type[HandFeed]
) -> None:
    class Broken(new_feed):  # type: ignore[misc, valid-type] # a fixture
        async def check(self) -> None:
            raise ValueError("no such exchange")

    async with cluster.node():
        cluster.new_feed = Broken
        with pytest.raises(ValueError, match="no such exchange"):
            await cluster.node().__aenter__()
