"""Who is told of whom, where sessions go on on another node: nobody stays who has left."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import anyio
import pytest

from lbproto import Server
from lbproto.testing import settle
from tests.core.clusters import Cluster
from tests.core.harness import Sent
from tests.core.sessions import Connected, Note, come, come_or_none, lose, subscribe

pytestmark = pytest.mark.anyio

FOUND_DEAD = 25  # seconds by which a dead node has been found so, and who was there has left


async def member(server: Server, user: str) -> Connected:
    """A client in the room, of whom the others have been told."""
    client = await come(server, user)
    await subscribe(server, client)
    await settle()
    return client


def presence(told: list[Sent]) -> list[tuple[str, str]]:
    """Who has come and left."""
    return [(sent.name, sent.data["userId"]) for sent in told if sent.name.startswith("user_")]


async def test_others_do_not_see_it_move_unless_its_node_said_that_it_stops(fate: str) -> None:
    async with Cluster.running() as cluster:
        one, two, three = [await cluster.start() for _ in range(3)]
        witness = await member(three, "bob")
        client = await come(one)
        assert await subscribe(one, client) == 2
        lose(one, client)
        await settle()
        witness.take()
        await cluster.leave(one, fate)
        await cluster.come_back(two, client.resume)
        await settle()
        for _ in range(40):  # by then a dead node has left, and one that hands over too
            await cluster.clock.advance(1.0)
        seen = [sent.name for sent in witness.take()]
        assert seen == (["user_left_room", "user_joined_room"] if fate == "stopped" else [])
        assert await subscribe(three, witness) == 2


async def test_who_has_left_and_come_meanwhile_is_told_once(fate: str) -> None:
    async with Cluster.running() as cluster:
        one, two, three = [await cluster.start() for _ in range(3)]
        await member(two, "bob")
        cid = await member(three, "cid")
        client = await member(one, "ada")
        lose(one, client)
        lose(three, cid, "client namespace disconnect")
        await settle()
        await member(two, "dan")
        await cluster.leave(one, fate)
        back = await cluster.come_back(two, client.resume)
        assert presence(back.told) == [("user_left_room", "cid"), ("user_joined_room", "dan")]


async def test_who_does_not_come_back_from_a_node_that_is_gone_has_left(fate: str) -> None:
    async with Cluster.running() as cluster:
        one, two = await cluster.start(), await cluster.start()
        witness = await member(two, "bob")
        client = await member(one, "ada")
        lost = await member(one, "cid")
        witness.take()
        lose(one, client)
        lose(one, lost)
        await cluster.leave(one, fate)
        back = await cluster.come_back(two, client.resume)
        told = [*back.told]
        for _ in range(FOUND_DEAD):
            await cluster.clock.advance(1.0)
        told += back.take()
        assert presence(told) == [("user_joined_room", "cid"), ("user_left_room", "cid")]
        assert ("user_left_room", "cid") in presence(witness.take())
        assert await subscribe(two, witness) == 2


@pytest.mark.parametrize("apart", [1.0, 4.0])
async def test_who_moves_while_a_node_is_found_dead_is_told_who_left_with_it(apart: float) -> None:
    """Each node finds it so by itself, at another time: but for what they tell each other."""
    async with Cluster.running() as cluster:
        nodes = [await cluster.start()]
        await cluster.clock.advance(apart)
        nodes.append(await cluster.start())
        dead = await cluster.start()
        client = await member(nodes[0], "ada")
        await member(dead, "cid")
        told = client.take()
        await cluster.leave(dead, "dead")
        for second in range(FOUND_DEAD):
            lose(nodes[second % 2], client)
            client = await cluster.come_back(nodes[1 - second % 2], client.resume)
            told += client.told
            await cluster.clock.advance(1.0)
            told += client.take()
        assert presence(told) == [("user_joined_room", "cid"), ("user_left_room", "cid")]


async def test_a_node_that_has_never_met_a_dead_one_tells_who_left_with_it() -> None:
    async with Cluster.running() as cluster:
        one, _ = await cluster.start(), await cluster.start()
        client = await member(one, "ada")
        await member(one, "cid")
        told = client.take()
        lose(one, client)
        await cluster.leave(one, "dead")
        late = await cluster.start()
        back = await cluster.come_back(late, client.resume)
        told += back.told
        for _ in range(FOUND_DEAD):
            await cluster.clock.advance(1.0)
        told += back.take()
        assert presence(told) == [("user_joined_room", "cid"), ("user_left_room", "cid")]


@pytest.mark.parametrize("is_anybody_there", [True, False], ids=["somebody", "nobody"])
async def test_who_leaves_while_a_session_comes_has_left_for_it(is_anybody_there: bool) -> None:
    """What it has missed has been read by then."""
    async with Cluster.running() as cluster:
        one, two, three = [await cluster.start() for _ in range(3)]
        cid = await member(three, "cid")
        client = await member(one, "ada")
        if is_anybody_there:
            await member(two, "bob")
        lose(one, client)
        missed = two._parts.pubsub.missed
        reads = 0

        async def slow(behind: Mapping[str, Collection[str]]) -> Sequence[tuple[str, bytes]] | None:
            nonlocal reads
            reads += 1
            found = await missed(behind)
            if reads == 2:
                lose(three, cid, "client namespace disconnect")
                for _ in range(50):  # turns that `two` takes to hear of it
                    await anyio.lowlevel.checkpoint()
            return found

        two._parts.pubsub.missed = slow  # type: ignore[method-assign] # for somebody to leave meanwhile
        back = await cluster.come_back(two, client.resume)
        assert presence([*back.told, *back.take()])[-1] == ("user_left_room", "cid")


async def test_who_leaves_as_a_session_is_handed_over_has_left_for_it() -> None:
    """What is kept of that for others has come to its node by then."""
    async with Cluster.running() as cluster:
        one, two, three = [await cluster.start() for _ in range(3)]
        cid = await member(three, "cid")
        await member(one, "bob")
        client = await member(two, "ada")
        lose(two, client)
        publish = one._parts.pubsub.publish_nowait

        def late(channel: str, payload: bytes, **options: Any) -> None:
            if b"session" in payload:
                lose(three, cid, "client namespace disconnect")
                three.to("room:a").emit(Note(number=1))
            publish(channel, payload, **options)

        one._parts.pubsub.publish_nowait = late  # type: ignore[method-assign] # likewise
        back = await cluster.come_back(one, client.resume)
        assert presence([*back.told, *back.take()])[-1] == ("user_left_room", "cid")


@pytest.mark.parametrize("fate", ["lives", "dead"])
async def test_a_node_that_has_just_begun_takes_nobody_before_it_knows_who_is_there(
    fate: str,
) -> None:
    """Nobody would tell a session what changes until then; nor is its own node known."""
    async with Cluster.running() as cluster:
        one = await cluster.start()
        client = await member(one, "ada")
        lose(one, client)
        await cluster.leave(one, fate)
        late = await cluster.begin()
        back = await come_or_none(late, **client.resume)
        if fate == "dead":  # it does not answer
            assert back is None
            await cluster.clock.advance(1.0)
            back = await cluster.come_back(late, client.resume)
        assert back is not None
        gone = ["answers_lost"] if fate == "dead" else []
        assert back.names == ["connected", *gone, "recovered"]


async def test_who_has_begun_here_is_not_told_of_a_dead_node_that_was_never_here() -> None:
    """Nobody there was known to it; and whom it was told of meanwhile has left already."""
    async with Cluster.running() as cluster:
        one, _ = await cluster.start(), await cluster.start()
        await member(one, "ada")
        await cluster.leave(one, "dead")
        three = await cluster.start()
        witness = await member(three, "bob")
        ada = await member(three, "ada")
        lose(three, ada, "client namespace disconnect")
        assert presence(witness.take()) == [("user_joined_room", "ada"), ("user_left_room", "ada")]
        for _ in range(FOUND_DEAD):
            await cluster.clock.advance(1.0)
        assert presence(witness.take()) == []
