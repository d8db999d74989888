"""Several nodes, one truth: counts, who is there, and what a host does about users."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio
import msgspec
import pytest

from lbproto import Admission, Overloaded, Server
from lbproto.backends.memory import MemoryBroker, MemoryPubSub, MemoryStorage
from lbproto.moderation import RoomMember
from lbproto.nodes.messages import Beat, Call, Share, encode
from lbproto.registry import RESERVED
from lbproto.testing import VirtualClock, settle
from lbproto.wire import Refused, Unavailable
from tests.core.sessions import Connected, Note, Rooms, come, lose, request, serve, subscribe

pytestmark = pytest.mark.anyio

BOUND = 20.0  # seconds until a node that has died counts no more: its silence, and a beat


class Cluster:
    """Nodes that share a broker, a storage and a clock."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.broker = MemoryBroker()
        self.storage = MemoryStorage(self.clock)
        self.ends: list[MemoryPubSub] = []

    @asynccontextmanager
    async def running(self, many: int = 1, **options: Any) -> AsyncIterator[list[Server]]:
        async with AsyncExitStack() as stack:
            servers = []
            for _ in range(many):
                self.ends.append(MemoryPubSub(self.broker))
                server = serve(
                    Rooms(), self.clock, pubsub=self.ends[-1], storage=self.storage, **options
                )
                await stack.enter_async_context(server.lifespan())
                servers.append(server)
            await settle()
            yield servers

    def cut(self, at: int) -> None:
        """Cut a node off, as when its machine loses power."""
        self.broker.nodes.discard(self.ends[at])

    def mend(self, at: int) -> None:
        self.broker.nodes.add(self.ends[at])


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


async def joined(server: Server, user: str, room: str = "room:a") -> Connected:
    """A client in a room, once all nodes know it."""
    client = await come(server, user)
    await subscribe(server, client, room)
    await settle()
    client.take()
    return client


def told(client: Connected) -> list[tuple[str, str]]:
    """The users that a client is told of, beside the one who counts."""
    users = [(sent.name.split("_")[1], sent.data["userId"]) for sent in client.take()]
    return [each for each in users if each[1] != "counter"]


async def count(server: Server, room: str = "room:a") -> int:
    """What somebody who comes is told, themselves included; they are gone again."""
    client = await come(server, "counter")
    found = await subscribe(server, client, room)
    lose(server, client, "client namespace disconnect")
    await settle()
    return found


# How many


async def test_a_room_is_counted_over_all_nodes(cluster: Cluster) -> None:
    async with cluster.running(3) as (one, two, three):
        await joined(one, "ada")
        await joined(two, "ada")
        gone = await joined(two, "bob")
        for server in (one, two, three):
            assert await count(server) == 4
        await request(two, gone, "unsubscribe", room="room:a")
        await settle()
        for server in (one, two, three):
            assert await count(server) == 3


async def test_a_lost_connection_counts_during_its_grace_on_all_nodes(cluster: Cluster) -> None:
    async with cluster.running(2) as (one, two):
        client = await joined(one, "ada")
        bob = await joined(two, "bob")
        lose(one, client)
        await cluster.clock.advance(14.0)
        assert await count(two) == 3
        await cluster.clock.advance(1.0)
        assert told(bob) == [("left", "ada")]
        assert await count(two) == 2
        await come(one, **client.resume)
        await settle()
        assert told(bob) == [("joined", "ada")]
        assert await count(two) == 3


async def test_who_begins_later_knows_who_is_there_and_is_told_of_no_one_anew(
    cluster: Cluster,
) -> None:
    async with cluster.running() as (one,):
        ada = await joined(one, "ada")
        async with cluster.running() as (two,):
            client = await come(two, "bob")
            assert await subscribe(two, client) == 2
            await settle()
            assert client.take() == []
            assert told(ada) == [("joined", "bob")]
            await request(one, ada, "unsubscribe", room="room:a")
            await settle()
            assert told(client) == [("left", "ada")]


async def test_who_comes_to_a_node_before_that_knows_the_others_is_told_of_no_one_anew(
    cluster: Cluster,
) -> None:
    async with cluster.running() as (one,):
        await joined(one, "ada")
        cluster.cut(0)
        async with cluster.running() as (two,):
            bob = await joined(two, "bob")
            cluster.mend(0)
            await cluster.clock.advance(10.0)
            assert bob.take() == []
            assert await count(two) == await count(one) == 3


async def test_a_node_alone_says_nothing() -> None:
    class Counted(MemoryPubSub):
        said = 0

        def publish_nowait(self, channel: str, payload: bytes, *, kept: bool = False) -> None:
            self.said += 1
            super().publish_nowait(channel, payload, kept=kept)

    clock, pubsub = VirtualClock(), Counted()
    server = serve(Rooms(), clock, pubsub=pubsub)
    async with server.lifespan():
        await joined(server, "ada")
        await clock.advance(60.0)
        assert pubsub.said == 0
        assert not server._control._changed


# Who


async def test_a_user_comes_and_goes_once_whatever_the_nodes(cluster: Cluster) -> None:
    async with cluster.running(3) as (one, two, three):
        watching = [await joined(one, "x"), await joined(two, "y"), await joined(three, "z")]
        for client in watching:
            client.take()
        first = await joined(one, "ada")
        for client in watching:
            assert told(client) == [("joined", "ada")]
        second = await joined(two, "ada")
        third = await joined(two, "ada")
        for server, client in ((one, first), (two, second)):
            await request(server, client, "unsubscribe", room="room:a")
            await settle()
        assert [told(client) for client in (*watching, first, second)] == [[]] * 5
        lose(two, third, "client namespace disconnect")
        await settle()
        for client in watching:
            assert told(client) == [("left", "ada")]


async def test_two_who_come_at_once_are_told_of_once(cluster: Cluster) -> None:
    async with cluster.running(3) as (one, two, three):
        watching = await joined(three, "bob")
        here, there = await come(one), await come(two)
        await subscribe(one, here)
        await subscribe(two, there)
        await settle()
        assert told(watching) == [("joined", "ada")]
        assert (here.take(), there.take()) == ([], [])


# Nodes that die, leave, or are cut off


async def test_the_members_of_a_dead_node_leave_within_the_bound_and_return_with_it(
    cluster: Cluster,
) -> None:
    async with cluster.running(2) as (one, two):
        bob = await joined(one, "bob")
        await joined(two, "ada")
        both = await joined(two, "bob")
        bob.take()
        both.take()
        cluster.cut(1)
        await cluster.clock.advance(BOUND)
        assert told(bob) == [("left", "ada")]
        assert await count(one) == 2
        cluster.mend(1)
        await cluster.clock.advance(6.0)
        assert told(bob) == [("joined", "ada")]
        assert told(both) == []
        assert await count(one) == await count(two) == 4


async def test_a_node_that_stops_takes_its_members_along(cluster: Cluster) -> None:
    async with cluster.running() as (one,):
        bob = await joined(one, "bob")
        async with cluster.running() as (two,):
            await joined(two, "ada")
            assert told(bob) == [("joined", "ada")]
        await settle()
        assert told(bob) == [("left", "ada")]
        assert await count(one) == 2


async def test_what_a_full_buffer_swallows_is_made_good(cluster: Cluster) -> None:
    class Full(MemoryPubSub):
        full_now = False

        def publish_nowait(self, channel: str, payload: bytes, *, kept: bool = False) -> None:
            if self.full_now:
                raise Overloaded("full")
            super().publish_nowait(channel, payload, kept=kept)

    pubsub = Full(cluster.broker)
    async with cluster.running() as (one,):
        two = serve(Rooms(), cluster.clock, pubsub=pubsub)
        async with two.lifespan():
            await settle()
            await joined(two, "ada")
            pubsub.full_now = True
            client = await come(two)
            pubsub.full_now = False
            await subscribe(two, client)
            await cluster.clock.advance(5.0)
            assert await count(one) == 3
            assert one._control.count("user:ada") == 2


@pytest.mark.parametrize(
    "payload",
    [
        b"\xc1",
        encode(["changes", "node"]),
        encode(["whole", "node", 0, True, True, [["room:a", "many"]]]),
        encode(Call("node", 1, "kick", msgspec.Raw(encode(["ada"])))),
    ],
    ids=range(4),
)
async def test_what_is_no_message_changes_nothing(cluster: Cluster, payload: bytes) -> None:
    foreign = MemoryPubSub(cluster.broker)
    async with foreign, cluster.running() as (one,):
        foreign.publish_nowait(f"{RESERVED}nodes", payload)
        foreign.publish_nowait(f"{RESERVED}nodes", encode(Beat("node", 7)))
        foreign.publish_nowait(
            f"{RESERVED}nodes", encode(Call("node", 1, "unknown", msgspec.Raw()))
        )
        await settle()
        assert await count(one) == 1


async def test_no_client_comes_to_hear_nodes(cluster: Cluster) -> None:
    async with cluster.running() as (one,):
        client = await come(one)
        (refused,) = await request(one, client, "subscribe", room=f"{RESERVED}nodes")
        assert refused.data["code"] == "NOT_FOUND"


# What a host does


async def test_members_are_those_of_all_nodes(cluster: Cluster) -> None:
    async with cluster.running(2) as (one, two):
        ada, away = await joined(one, "ada"), await joined(two, "bob")
        lose(two, away)
        for _ in range(450):
            await joined(two, "cy")
        members = await one.members("room:a")
        assert members[:2] == [
            RoomMember(ada.session.sid, "ada", False, ada.session),
            RoomMember(away.socket.sid, "bob", True),
        ]
        assert len(members) == 452
        assert len({member.sid for member in await two.members("room:a")}) == 452


async def test_users_are_kicked_and_disconnected_on_all_nodes(cluster: Cluster) -> None:
    async with cluster.running(3) as servers:
        clients = [await joined(server, "ada") for server in servers]
        assert await servers[0].kick("ada", "room:a") == 3
        for client in clients:
            assert [sent.name for sent in client.take()] == ["unsubscribed"]
        assert await servers[1].kick("ada", "room:a") == 0
        assert await servers[2].disconnect("ada") == 3
        assert [client.socket.disconnects for client in clients] == [1, 1, 1]


async def test_one_session_is_ended_wherever_it_is(cluster: Cluster) -> None:
    async with cluster.running(2) as (one, two):
        clients = [await joined(server, "ada") for server in (one, two, two)]
        for member, ended in zip(await one.members("room:a"), clients, strict=True):
            assert await one.disconnect_session(member.sid)
            assert not await one.disconnect_session(member.sid)
            assert ended.socket.disconnects == 1
        assert [client.socket.disconnects for client in clients] == [1, 1, 1]
        assert await one.members("room:a") == []


async def test_a_ban_holds_on_all_nodes(cluster: Cluster) -> None:
    async with cluster.running(2) as (one, two):
        client = await joined(two, "ada")
        await one.ban("ada", "room:a")
        assert [sent.name for sent in client.take()] == ["unsubscribed"]
        (refused,) = await request(two, client, "subscribe", room="room:a")
        assert refused.data["code"] == "UNAUTHORIZED"
        await one.ban("ada")
        assert client.socket.disconnects == 1
        with pytest.raises(Refused, match="banned"):
            await come(two)


async def test_a_node_that_does_not_answer_is_not_waited_for_for_long(cluster: Cluster) -> None:
    async with cluster.running(3) as servers:
        for server in servers:
            await joined(server, "ada")
        cluster.cut(2)
        found: list[int] = []

        async def kick() -> None:
            found.append(await servers[0].kick("ada", "room:a"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(kick)
            await settle()
            assert found == []
            await cluster.clock.advance(1.0)
        assert found == [2]


async def test_sessions_of_a_user_are_bounded_over_all_nodes(cluster: Cluster) -> None:
    admission = Admission(max_sessions_per_user=2)
    async with cluster.running(2, admission=admission) as (one, two):
        first = await come(one)
        await come(two)
        await settle()
        with pytest.raises(Unavailable, match="too many sessions"):
            await come(two)
        lose(one, first, "client namespace disconnect")
        await settle()
        await come(two)
        await come(one, "bob")


async def test_events_still_reach_everybody_once(cluster: Cluster) -> None:
    async with cluster.running(3) as servers:
        clients = [await joined(server, "ada") for server in servers]
        servers[0].to("room:a").emit(Note(number=1))
        await settle()
        assert [[sent.name for sent in client.take()] for client in clients] == [["note"]] * 3


async def test_a_share_of_a_room_says_what_there_is(cluster: Cluster) -> None:
    async with cluster.running() as (one,):
        await joined(one, "ada")
        await joined(one, "ada")
        shares = list(one._membership.announcements._shares())
        assert shares == [Share("user:ada", 2), Share("room:a", 2, ("ada",))]
