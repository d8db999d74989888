"""Several nodes of one application: what they exchange, and what they ask each other for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import msgspec
import pytest

from lbproto import Context, Event, Overloaded, Plugin, Server
from lbproto.backends.memory import MemoryBroker, MemoryPubSub
from lbproto.registry import RESERVED
from lbproto.testing import settle
from tests.core.harness import Client, Sent, connected, running

pytestmark = pytest.mark.anyio


class News(Event):
    number: int
    amount_usd: float = 0.0


def newsroom() -> Plugin:
    plugin = Plugin("news")
    plugin.emits(News)

    @plugin.room("news")
    async def news(ctx: Context) -> None: ...

    return plugin


class Recorded(MemoryPubSub):
    """Keeps what it was asked of rooms; unsubscribing waits for the gate, as over a network."""

    def __init__(self, broker: MemoryBroker) -> None:
        super().__init__(broker)
        self.published: list[str] = []
        self.channels: set[str] = set()
        self.gate = anyio.Event()
        self.gate.set()

    def publish_nowait(self, channel: str, payload: bytes, *, kept: bool = False) -> None:
        if not channel.startswith(RESERVED):
            self.published.append(channel)
        super().publish_nowait(channel, payload, kept=kept)

    async def subscribe(self, channel: str) -> None:
        await super().subscribe(channel)
        if not channel.startswith(RESERVED):
            self.channels.add(channel)

    async def unsubscribe(self, channel: str) -> None:
        await self.gate.wait()
        await super().unsubscribe(channel)
        self.channels.discard(channel)


@asynccontextmanager
async def nodes(*pubsubs: MemoryPubSub) -> AsyncIterator[list[Server]]:
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(running(newsroom(), pubsub=pubsub))
            for pubsub in pubsubs
        ]


async def reader(server: Server, user: str = "ada") -> Client:
    client = await connected(server, user)
    await client.ask("subscribe", {"room": "news"})
    return client


async def test_events_reach_the_clients_of_every_node_once() -> None:
    broker = MemoryBroker()
    async with nodes(*(MemoryPubSub(broker) for _ in range(3))) as servers:
        clients = [await reader(server) for server in servers]
        await settle()
        for client in clients:
            client.take()
        receipt = servers[0].to("news").emit(News(number=1, amount_usd=2.5))
        assert receipt.matched == 1
        await settle()
        for client in clients:
            assert client.take() == [Sent("news", {"number": 1, "amountUSD": 2.5})]


async def test_those_excepted_are_excepted_everywhere() -> None:
    broker = MemoryBroker()
    async with nodes(MemoryPubSub(broker), MemoryPubSub(broker)) as (here, there):
        one, two = await reader(there), await reader(there)
        await settle()
        one.take()
        two.take()
        here.to("news", except_=[one.sid]).emit(News(number=1))
        here.to("news", except_=one.sid).emit(News(number=2))  # as `skip_sid=` has it
        await settle()
        assert one.take() == []
        assert two.take() == [Sent("news", {"number": 1}), Sent("news", {"number": 2})]


async def test_one_excepted_by_its_id_alone_misses_nothing_by_it() -> None:
    broker = MemoryBroker()
    async with nodes(MemoryPubSub(broker), MemoryPubSub(broker)) as (here, there):
        alone, one, two = await reader(here), await reader(there), await reader(there)
        await settle()
        for client in (alone, one, two):
            client.take()
        here.to("news", except_=f"{one.sid}{alone.sid}").emit(News(number=1))  # is nobody's id
        await settle()
        for client in (alone, one, two):
            assert client.take() == [Sent("news", {"number": 1})]


async def test_a_user_is_reached_wherever_the_session_is() -> None:
    broker = MemoryBroker()
    async with nodes(MemoryPubSub(broker), MemoryPubSub(broker)) as (here, there):
        client = await connected(there, "bob")
        here.to_user("bob").emit(News(number=1))
        await settle()
        assert client.take() == [Sent("news", {"number": 1})]


async def test_a_node_that_cannot_be_told_refuses_and_nobody_gets_it() -> None:
    broker = MemoryBroker()
    behind = MemoryPubSub(broker, capacity=1)
    async with behind, nodes(MemoryPubSub(broker)) as (server,):
        client = await reader(server)
        await behind.subscribe("news")
        server.to("news").emit(News(number=1))
        with pytest.raises(Overloaded):
            server.to("news").emit(News(number=2))
        assert client.take() == [Sent("news", {"number": 1})]


# What is asked for


async def test_a_room_is_asked_for_while_somebody_is_in_it() -> None:
    pubsub = Recorded(MemoryBroker())
    async with nodes(pubsub) as (server,):
        one, two = await reader(server), await reader(server)
        assert pubsub.channels == {"news", "user:ada"}
        one.close()
        await settle()
        assert pubsub.channels == {"news", "user:ada"}
        await two.ask("unsubscribe", {"room": "news"})
        await settle()
        assert pubsub.channels == {"user:ada"}
        two.close()
        await settle()
        assert pubsub.channels == set()


async def test_a_refused_join_asks_for_nothing_in_the_end() -> None:
    plugin = newsroom()

    @plugin.room("shut")
    async def shut(ctx: Context) -> None:
        raise Overloaded("full")

    pubsub = Recorded(MemoryBroker())
    async with running(plugin, pubsub=pubsub) as server:
        client = await connected(server)
        await client.ask("subscribe", {"room": "shut"})
        await settle()
        assert pubsub.channels == {"user:ada"}


async def test_whoever_joins_while_the_room_is_being_left_gets_its_events() -> None:
    broker = MemoryBroker()
    pubsub = Recorded(broker)
    async with nodes(pubsub, MemoryPubSub(broker)) as (here, there):
        first = await reader(here)
        pubsub.gate = anyio.Event()
        await first.ask("unsubscribe", {"room": "news"})
        await settle()  # it is unsubscribing now
        async with anyio.create_task_group() as tasks:
            second = await connected(here, "bob")
            tasks.start_soon(second.send, "subscribe", {"room": "news"})
            await settle()
            pubsub.gate.set()
        assert [sent.name for sent in second.take()] == ["subscribed"]
        there.to("news").emit(News(number=1))
        await settle()
        assert second.take() == [Sent("news", {"number": 1})]


async def test_a_room_that_is_left_and_joined_at_once_stays_asked_for() -> None:
    broker = MemoryBroker()
    pubsub = Recorded(broker)
    async with nodes(pubsub, MemoryPubSub(broker)) as (here, there):
        client = await reader(here)
        await settle()
        await client.send("unsubscribe", {"room": "news"})
        await client.send("subscribe", {"room": "news"})
        await settle()
        client.take()
        there.to("news").emit(News(number=1))
        await settle()
        assert client.take() == [Sent("news", {"number": 1})]


async def test_another_room_does_not_wait_for_the_one_being_left() -> None:
    pubsub = Recorded(MemoryBroker())
    async with nodes(pubsub) as (server,):
        first = await reader(server)
        pubsub.gate = anyio.Event()
        await first.ask("unsubscribe", {"room": "news"})
        await settle()
        with anyio.fail_after(60):
            await connected(server, "bob")
        pubsub.gate.set()


async def test_a_session_that_goes_before_its_room_is_asked_for_leaves_nothing_behind() -> None:
    class Slow(Recorded):
        async def subscribe(self, channel: str) -> None:
            if not channel.startswith(RESERVED):
                await slow.wait()
            await super().subscribe(channel)

    slow = anyio.Event()
    pubsub = Slow(MemoryBroker())
    async with nodes(pubsub) as (server,), anyio.create_task_group() as tasks:
        client = Client(server)
        tasks.start_soon(client.connect)
        await settle()
        client.close()
        await settle()
        slow.set()
        await settle()
        assert pubsub.channels == set()


# What other nodes may send


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc1",
        msgspec.msgpack.encode(["news"]),
        msgspec.msgpack.encode(["news", [], msgspec.Raw(msgspec.msgpack.encode({}))]),
        msgspec.msgpack.encode(["news", [], {"number": "one"}]),
        msgspec.msgpack.encode(["unknown", [], {}]),
    ],
    ids=repr,
)
async def test_a_broken_message_is_logged_and_the_next_is_delivered(
    payload: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    broker = MemoryBroker()
    foreign = MemoryPubSub(broker)
    async with foreign, nodes(MemoryPubSub(broker)) as (server,):
        client = await reader(server)
        foreign.publish_nowait("news", payload)
        foreign.publish_nowait("news", msgspec.msgpack.encode(["news", [], {"number": 1}]))
        await settle()
        assert client.take() == [Sent("news", {"number": 1})]
        records, name = caplog.records, "lbproto.delivery.inflow"
        (record,) = (record for record in records if record.name == name)
        assert record.levelname == "ERROR"


async def test_a_message_for_a_room_that_is_empty_by_now_is_nothing() -> None:
    broker = MemoryBroker()
    foreign = MemoryPubSub(broker)
    async with foreign, nodes(MemoryPubSub(broker)) as (server,):
        client = await reader(server)
        foreign.publish_nowait("news", msgspec.msgpack.encode(["news", [], {"number": 1}]))
        await client.ask("unsubscribe", {"room": "news"})
        await settle()
        assert client.take() == []
