"""Who is told of users that come and go: the others in the room, in pairs, once per user."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import pytest

from lbproto import Context, Plugin, Server
from lbproto.backends.memory import MemoryBroker, MemoryPubSub
from lbproto.rooms.presence import QUIET_ABOVE
from lbproto.testing import settle
from tests.core.harness import Client, Sent, connected, running

pytestmark = pytest.mark.anyio

NOW = "2026-01-20T12:00:00.000Z"


def lobby(gate: Callable[[], anyio.Event] | None = None) -> Plugin:
    """Rooms that announce or do not; joining, `ada` waits for the gate."""
    plugin = Plugin("lobby")

    @plugin.room("lobby")
    async def loud(ctx: Context) -> None:
        if gate is not None and ctx.user_id == "ada":
            await gate().wait()

    @plugin.room("quiet", announce=False)
    async def quiet(ctx: Context) -> None: ...

    return plugin


async def member(server: Server, user: str, room: str = "lobby") -> Client:
    client = await connected(server, user)
    await client.ask("subscribe", {"room": room})
    return client


def joined(user: str) -> Sent:
    return Sent("user_joined_room", {"userId": user, "room": "lobby", "joinedAt": NOW})


def left(user: str, at: str = NOW) -> Sent:
    return Sent("user_left_room", {"userId": user, "room": "lobby", "leftAt": at})


async def test_the_others_are_told_who_comes_and_who_goes() -> None:
    async with running(lobby()) as server:
        outsider = await connected(server, "eve")
        ada = await member(server, "ada")
        bob = await connected(server, "bob")
        (subscribed,) = await bob.ask("subscribe", {"room": "lobby"})
        assert subscribed.name == "subscribed"
        assert ada.take() == [joined("bob")]
        (unsubscribed,) = await bob.ask("unsubscribe", {"room": "lobby"})
        assert unsubscribed.name == "unsubscribed"
        assert ada.take() == [left("bob")]
        assert outsider.take() == bob.take() == []


async def test_a_lost_connection_leaves_too() -> None:
    async with running(lobby()) as server:
        ada, bob = await member(server, "ada"), await member(server, "bob")
        ada.take()
        bob.close()
        assert ada.take() == [left("bob")]
        assert bob.take() == []


async def test_users_are_announced_not_sessions() -> None:
    async with running(lobby()) as server:
        ada = await member(server, "ada")
        bobs = [await member(server, "bob") for _ in range(3)]
        assert ada.take() == [joined("bob")]
        bobs[0].close()
        await bobs[1].ask("unsubscribe", {"room": "lobby"})
        assert ada.take() == []
        bobs[2].close()
        assert ada.take() == [left("bob")]


async def test_a_user_is_not_told_of_itself() -> None:
    async with running(lobby()) as server:
        one, two = await member(server, "ada"), await member(server, "ada")
        one.close()
        assert two.take() == []


async def test_subscribing_again_is_not_announced() -> None:
    async with running(lobby()) as server:
        ada, bob = await member(server, "ada"), await member(server, "bob")
        ada.take()
        await bob.ask("subscribe", {"room": "lobby"})
        assert ada.take() == []
        await bob.ask("unsubscribe", {"room": "lobby"})
        assert ada.take() == [left("bob")]


async def test_a_room_that_does_not_announce_is_silent() -> None:
    async with running(lobby()) as server:
        ada = await member(server, "ada", "quiet")
        bob = await member(server, "bob", "quiet")
        bob.close()
        assert ada.take() == []


async def test_a_member_that_joins_again_misses_no_announcement() -> None:
    """What its first message cannot contain is delivered while that is being made."""
    gate = anyio.Event()
    gate.set()
    async with running(lobby(lambda: gate)) as server, anyio.create_task_group() as tasks:
        ada, bob = await member(server, "ada"), await member(server, "bob")
        assert ada.take() == [joined("bob")]
        gate = anyio.Event()
        tasks.start_soon(ada.send, "subscribe", {"room": "lobby"})
        await settle()
        bob.close()
        await member(server, "eve")
        gate.set()
        await settle()
        assert ada.take()[:2] == [left("bob"), joined("eve")]


async def test_a_crowd_is_not_announced_but_nobody_stays_as_a_ghost() -> None:
    async with running(lobby()) as server:
        watcher = await member(server, "watcher")
        crowd = [await member(server, f"u{number}") for number in range(QUIET_ABOVE + 10)]
        seen: set[str] = set()
        for name, data, _ in watcher.take():
            assert name == "user_joined_room"
            seen.add(data["userId"])
        assert seen == {f"u{number}" for number in range(QUIET_ABOVE - 1)}
        for client in crowd:
            client.close()
        for name, data, _ in watcher.take():
            assert name == "user_left_room"
            seen.remove(data["userId"])
        assert seen == set()


async def test_the_room_is_told_even_if_the_other_nodes_cannot_be() -> None:
    """Otherwise a full buffer would leave sessions in rooms, and ghosts with the others."""
    broker = MemoryBroker()
    behind = MemoryPubSub(broker, capacity=1)
    async with (
        behind,
        running(lobby(), pubsub=MemoryPubSub(broker)) as server,
    ):
        await behind.subscribe("lobby")
        ada = await member(server, "ada")  # its announcement fills the other node's buffer
        bob = await connected(server, "bob")
        assert await bob.ask("subscribe", {"room": "lobby"}) == [
            Sent("subscribed", {"room": "lobby", "subscriberCount": 2})
        ]
        await bob.ask("subscribe", {"room": "quiet"})
        assert ada.take() == [joined("bob")]
        bob.close()
        assert ada.take() == [left("bob")]
        for room in ("quiet", "user:bob"):
            assert server._membership.count(room) == 0
        assert server._membership.count("lobby") == 1
