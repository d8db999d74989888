"""Sessions that go on on another node: of one that lives, has stopped, or has died."""

from __future__ import annotations

from random import Random
from typing import Any

import anyio
import pytest

from lbproto import Admission, Server
from lbproto.testing import settle
from tests.core.clusters import Cluster, notes
from tests.core.harness import Sent
from tests.core.sessions import Connected, Note, come, lose, request, subscribe

pytestmark = pytest.mark.anyio


def lost(fate: str) -> list[str]:
    """What a client is told first of what went with its node."""
    return ["answers_lost"] if fate == "dead" else []


async def test_a_client_goes_on_on_another_node_with_all_it_has_missed(fate: str) -> None:
    async with Cluster.running() as cluster:
        one, two = await cluster.start(), await cluster.start()
        client = await come(one)
        await subscribe(one, client)
        one.to("room:a").emit(Note(number=1))
        two.to("room:a").emit(Note(number=2))
        await settle()
        assert notes(client.take()) == [1, 2]
        resume = client.resume
        lose(one, client)
        two.to("room:a").emit(Note(number=3))
        await settle()
        one.to("room:a").emit(Note(number=4))
        await settle()
        two.to_user("ada").emit(Note(number=5))
        two.to("room:b").emit(Note(number=6))
        await settle()
        await cluster.leave(one, fate)
        back = await cluster.come_back(two, resume)
        gone = lost(fate)
        assert back.names == ["connected", *gone, "note", "note", "note", "recovered"]
        assert back.told[0].data["sid"] == client.socket.sid
        assert notes(back.told) == [3, 4, 5]
        assert back.told[-1] == Sent("recovered", {"missed": 3 + len(gone)})
        two.to("room:a").emit(Note(number=7))
        assert notes(back.take()) == [7]


async def moved(cluster: Cluster, fate: str, user: str = "ada") -> tuple[Server, Connected]:
    """A client in a room, whose node has met its fate; and another node."""
    one, two = await cluster.start(), await cluster.start()
    client = await come(one, user)
    await subscribe(one, client)
    lose(one, client)
    await cluster.leave(one, fate)
    return two, client


async def test_it_is_over_where_it_was(fate: str) -> None:
    async with Cluster.running() as cluster:
        one, two = await cluster.start(), await cluster.start()
        client = await come(one)
        await cluster.leave(one, fate)
        resume = client.resume
        await cluster.come_back(two, resume)
        again = await cluster.come_back(two, resume)  # as if it had got nothing the first time
        assert again.names == ["connected", *lost(fate), "recovered"]
        if fate == "lives":
            assert client.socket.disconnects == 1
            await cluster.clock.advance(3.0)
            assert len(one.sessions.directory) == 0


async def test_who_has_just_gone_is_disconnected_from_where_it_was() -> None:
    async with Cluster.running() as cluster:
        one, two = await cluster.start(), await cluster.start()
        client = await come(one)
        back = await cluster.come_back(two, client.resume)
        assert one.sessions.directory.get(client.socket.sid) is not None  # for a while
        assert await one.disconnect_session(client.socket.sid)
        assert back.socket.disconnects == 1


async def test_of_two_who_come_back_as_one_the_other_waits(fate: str) -> None:
    async with Cluster.running() as cluster:
        two, client = await moved(cluster, fate)
        three = await cluster.start()
        found = await cluster.come_back_to([two, three], client.resume)
        assert [each.names[-1] for each in found] == ["recovered"]
        other = two if found[0].socket.state in three.sessions.directory else three
        again = await cluster.come_back(other, client.resume)
        assert again.names == ["connected", *lost(fate), "recovered"]
        assert found[0].socket.disconnects == 1


async def test_nobody_gets_the_session_of_another_user(fate: str) -> None:
    async with Cluster.running() as cluster:
        two, client = await moved(cluster, fate)
        thief = await cluster.come_back(two, client.resume, "eve")
        assert thief.names == ["connected", "session_lost"]
        back = await cluster.come_back(two, client.resume)
        assert back.names == ["connected", *lost(fate), "recovered"]


@pytest.mark.parametrize(
    "offset",
    [None, 7, "", "x", "x.1", "a.b.c", "x.1." + "y" * 300, "x.1.::::", "x.1.a:b:c", "x.1.a:1:1:"],
)
async def test_rubbish_for_an_offset_is_no_offset(fate: str, offset: Any) -> None:
    async with Cluster.running() as cluster:
        two, client = await moved(cluster, fate)
        resume = {**client.resume, "offset": offset}
        back = await cluster.come_back(two, resume)
        assert back.names == ["connected", "session_lost"]


async def test_rights_are_asked_for_again(fate: str) -> None:
    async with Cluster.running() as cluster:
        one, two = await cluster.start(), await cluster.start()
        client = await come(one)
        await subscribe(one, client)
        lose(one, client)
        one.to("room:a").emit(Note(number=1))
        two.to_user("ada").emit(Note(number=2))
        await settle()
        cluster.rooms.open = False
        await cluster.leave(one, fate)
        back = await cluster.come_back(two, client.resume)
        assert notes(back.told) == [2]
        refused = ["error", "note", "recovered", "unsubscribed"]
        assert sorted(back.names) == [*lost(fate), "connected", *refused]
        two.to("room:a").emit(Note(number=3))
        assert back.take() == []


async def test_who_is_banned_meanwhile_does_not_come_back(fate: str) -> None:
    async with Cluster.running() as cluster:
        two, client = await moved(cluster, fate)
        await two._bans.add("ada", "room:a", None)  # as any node would
        await settle()
        back = await cluster.come_back(two, client.resume)
        assert "unsubscribed" in back.names
        two.to("room:a").emit(Note(number=1))
        assert notes(back.take()) == []


async def test_what_the_log_has_dropped_is_told(fate: str) -> None:
    async with Cluster.running(max_kept=3) as cluster:
        one, two = await cluster.start(), await cluster.start()
        client = await come(one)
        await subscribe(one, client)
        lose(one, client)
        for number in range(5):
            two.to("room:a").emit(Note(number=number))
        await settle()
        await cluster.leave(one, fate)
        back = await cluster.come_back(two, client.resume)
        if fate == "lives":  # its node has them still
            assert notes(back.told) == [0, 1, 2, 3, 4]
        else:
            assert back.names == ["connected", "session_lost"]
            assert back.socket.sid != client.socket.sid
            assert back.socket.pid != client.socket.pid


async def test_what_was_sent_to_it_alone_goes_with_it_or_its_client_is_told(fate: str) -> None:
    async with Cluster.running() as cluster:
        one, two = await cluster.start(), await cluster.start()
        client = await come(one)
        resume = client.resume
        await request(one, client, "ping")
        lose(one, client)
        await cluster.leave(one, fate)
        back = await cluster.come_back(two, resume)
        missed = lost(fate) or ["pong"]
        assert back.names == ["connected", *missed, "recovered"]


async def test_that_answers_are_lost_is_told_until_the_client_has_got_it() -> None:
    async with Cluster.running() as cluster:
        one, two, three = [await cluster.start() for _ in range(3)]
        client = await come(one)
        await cluster.leave(one, "dead")
        resume = client.resume
        for server in (two, two, three):
            client = await cluster.come_back(server, resume)
            assert client.names == ["connected", "answers_lost", "recovered"]
            resume = client.resume_at(0)  # it has got no more than that it is connected
        again = await cluster.come_back(three, client.resume)
        assert again.names == ["connected", "recovered"]


async def test_who_has_missed_something_for_good_does_not_go_on_from_its_record(fate: str) -> None:
    """More was said in its room, while it asked for the first message again, than is held back."""
    async with Cluster.running() as cluster:
        one, two = await cluster.start(), await cluster.start()
        client = await come(one)
        await subscribe(one, client)
        one._membership._rooms.max_held = 2
        cluster.rooms.says = 3
        told = await request(one, client, "subscribe", room="room:a")
        cluster.rooms.says = 0
        assert [sent.name for sent in told] == ["owned"]  # of its own, and behind what was said
        assert client.socket.closed_with
        lose(one, client)
        await settle()
        await cluster.leave(one, fate)
        back = await cluster.come_back(two, client.resume)
        assert back.names == ["connected", "session_lost"]


@pytest.mark.parametrize("got", range(4))
async def test_more_than_a_stopping_node_leaves_is_told(fate: str, got: int) -> None:
    """It leaves the last of three: enough for who has got the other two."""
    async with Cluster.running() as cluster:
        one, two = await cluster.start(), await cluster.start()
        client = await come(one)
        for number in range(3):
            one._hub.send(client.session, Note(number=number, text="x" * 40_000))
        assert notes(client.take()) == [0, 1, 2]
        resume = client.resume_at(got)  # behind `connected`
        lose(one, client)
        await cluster.leave(one, fate)
        back = await cluster.come_back(two, resume)
        missed = ["note"] * (3 - got)
        if fate == "stopped" and got < 2:
            assert back.names == ["connected", "session_lost"]
        else:
            assert back.names == ["connected", *(lost(fate) or missed), "recovered"]


async def test_without_a_storage_that_outlives_it_a_dead_nodes_session_is_lost(fate: str) -> None:
    async with Cluster.running(durable=False) as cluster:
        two, client = await moved(cluster, fate)
        back = await cluster.come_back(two, client.resume)
        assert back.names[-1] == ("recovered" if fate == "lives" else "session_lost")


async def test_it_gets_no_older_by_moving(fate: str) -> None:
    admission = Admission(max_session_age=100.0)
    async with Cluster.running() as cluster:
        one = await cluster.start(admission=admission)
        two = await cluster.start(admission=admission)
        client = await come(one)
        await cluster.clock.advance(60.0)
        lose(one, client)
        await cluster.leave(one, fate)
        back = await cluster.come_back(two, client.resume)
        await cluster.clock.advance(50.0)
        assert back.socket.closed_with


@pytest.mark.parametrize("seed", range(8))
async def test_wherever_it_goes_it_gets_all_of_every_publishers_in_order(seed: int) -> None:
    random = Random(seed)  # noqa: S311 - the same each time
    async with Cluster.running() as cluster:
        servers = [await cluster.start() for _ in range(3)]
        client = await come(servers[0])
        await subscribe(servers[0], client)
        at, got, sent = 0, list[int](), [0, 0, 0]
        resume = client.resume

        def publish(many: int) -> None:
            for _ in range(many):
                by = random.randrange(3)
                servers[by].to("room:a").emit(Note(number=by + 10 * sent[by]))
                sent[by] += 1

        for _ in range(30):
            publish(random.randrange(4))
            if random.random() < 0.5:
                await settle()
            if random.random() < 0.4:
                told = client.take()
                cut = random.randrange(len(told) + 1)
                if cut:  # the rest has not reached it
                    got += notes(told[:cut])
                    resume = client.resume_at(cut - len(told) - 1)
                lose(servers[at], client)
                publish(random.randrange(3))
                at = random.randrange(3)
                found: list[Connected] = []

                async def back(at: int = at, resume: dict[str, Any] = resume) -> None:
                    found.append(await come(servers[at], **resume))  # noqa: B023 - awaited below

                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(back)
                    for _ in range(random.randrange(6)):
                        publish(random.randrange(2))
                        await anyio.lowlevel.checkpoint()
                (client,) = found
                assert client.names[-1] == "recovered", client.names
                got += notes(client.told)
                resume = client.resume
        publish(3)
        await settle()
        got += notes(client.take())
        for by in range(3):
            own = [number // 10 for number in got if number % 10 == by]
            assert own == list(range(sent[by]))
