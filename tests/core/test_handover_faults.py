"""What happens to a session in the moment in which it moves, and what cannot be read of one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from lbproto import Event, Overloaded, Plugin, Recovery, Server
from lbproto.backends.memory import MemoryPubSub
from lbproto.nodes.control import PATIENCE
from lbproto.sessions.session import Session
from lbproto.testing import AnyToken, settle
from lbproto.wire import Refused, Unavailable
from lbproto.wire.arguments import ObjectArguments
from tests.core.clusters import Cluster, notes
from tests.core.harness import MemorySocket
from tests.core.sessions import JSON, Connected, Note, come, come_or_none, lose, request, subscribe

pytestmark = pytest.mark.anyio

MOMENTS = range(0, 16, 2)  # checkpoints after it has come: about so many its move takes


async def _meanwhile(
    cluster: Cluster, server: Server, resume: dict[str, Any], at: int, act: Callable[[], Any]
) -> Connected | None:
    """A client comes back, and after so many checkpoints something else happens."""
    found: list[Connected] = []

    async def back() -> None:
        try:
            found.append(await come(server, **resume))
        except Refused:
            return

    async def happens() -> None:
        for _ in range(at):
            await anyio.lowlevel.checkpoint()
        happening: Awaitable[object] = act()
        await happening

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(back)
        tasks.start_soon(happens)
        for _ in range(6):  # calls that a node which is no more does not answer
            await settle()
            await cluster.clock.advance(0.5)
    await settle()
    return found[0] if found else None


@pytest.mark.parametrize("at", MOMENTS)
async def test_who_is_taken_out_of_a_room_while_it_moves_is_out(at: int) -> None:
    async with Cluster.running() as cluster:
        one, two = await cluster.start(), await cluster.start()
        client = await come(one)
        await subscribe(one, client)
        lose(one, client)
        back = await _meanwhile(cluster, two, client.resume, at, lambda: two.kick("ada", "room:a"))
        assert back is not None
        assert "unsubscribed" in [sent.name for sent in (*back.told, *back.take())]
        assert await two.members("room:a") == []
        assert await one.members("room:a") == []


@pytest.mark.parametrize("at", MOMENTS)
async def test_who_is_banned_while_it_moves_is_out(at: int) -> None:
    async with Cluster.running() as cluster:
        one, two = await cluster.start(), await cluster.start()
        client = await come(one)
        lose(one, client)
        await _meanwhile(cluster, two, client.resume, at, lambda: two.ban("ada"))
        assert len(one.sessions.directory) == len(two.sessions.directory) == 0


async def test_a_record_that_cannot_be_read_is_none() -> None:
    async with Cluster.running() as cluster:
        one, two = await cluster.start(), await cluster.start()
        client = await come(one)
        lose(one, client)
        await cluster.leave(one, "dead")
        for key in await cluster.storage.children("lbproto/sessions"):
            await cluster.storage.put(f"lbproto/sessions/{key}", b"of another version")
        back = await cluster.come_back(two, client.resume)
        assert back.names == ["connected", "session_lost"]


async def test_an_event_that_is_something_else_by_now_is_left_out() -> None:
    class Other(Event, event="note"):
        """What another version of the plugin sends by that name."""

        title: str

    other = Plugin("rooms")
    other.emits(Other)

    @other.room("room:{name}")
    async def join(_ctx: object, name: str) -> None: ...

    async with Cluster.running() as cluster:
        one, two = await cluster.start(), await cluster.start()
        client = await come(one)
        await subscribe(one, client)
        lose(one, client)
        pubsub = MemoryPubSub(cluster.broker)
        newer = Server([other], auth=AnyToken(), clock=cluster.clock, pubsub=pubsub)
        async with newer.lifespan():
            newer.to("room:a").emit(Other(title="x"))
        two.to("room:a").emit(Note(number=1))
        await settle()
        await cluster.leave(one, "dead")
        back = await cluster.come_back(two, client.resume)
        assert notes(back.told) == [1]
        assert back.names[-1] == "recovered"


async def test_other_nodes_are_not_asked_for_what_is_no_private_id_nor_offset() -> None:
    async with Cluster.running() as cluster:
        _, two = await cluster.start(), await cluster.start()
        client = await come(two)
        resume = client.resume
        lose(two, client)
        asked: list[bytes] = []
        publish = two._parts.pubsub.publish_nowait

        def look(channel: str, payload: bytes, **options: Any) -> None:
            if b"session" in payload:
                asked.append(payload)
            publish(channel, payload, **options)

        two._parts.pubsub.publish_nowait = look  # type: ignore[method-assign] # to see what it is told
        for wrong in ({"pid": "x" * 100_000}, {"pid": "x", "offset": "x" * 100_000}):
            back = await cluster.come_back(two, {**resume, **wrong})
            assert back.names == ["connected", "session_lost"]
        assert asked == []
        await cluster.come_back(two, {**resume, "pid": "somebody-elses"})
        assert len(asked) == 1


@pytest.mark.parametrize("durable", [True, False], ids=["recorded", "not recorded"])
async def test_more_than_can_be_handed_over_is_lost_and_told(durable: bool) -> None:
    async with Cluster.running(durable=durable) as cluster:
        one, two = await cluster.start(), await cluster.start()
        client = await come(one)
        await subscribe(one, client)
        resume = client.resume
        lose(one, client)
        for number in range(9):
            one.to("room:a").emit(Note(number=number, text="x" * 500_000))
        back = await cluster.come_back(two, resume)
        assert back.names == ["connected", "session_lost"]


@pytest.mark.parametrize("has_got", [True, False], ids=["subscribed", "lost"])
async def test_nobody_gets_what_was_said_in_a_room_before_coming_there(
    fate: str, has_got: bool
) -> None:
    """Whether or not its client has got to know that it is there."""
    async with Cluster.running() as cluster:
        one, two = await cluster.start(), await cluster.start()
        client = await come(one)
        before = client.resume
        two.to("room:a").emit(Note(number=1))
        await settle()
        await subscribe(one, client)
        resume = client.resume if has_got else before
        lose(one, client)
        two.to("room:a").emit(Note(number=2))
        await settle()
        await cluster.leave(one, fate)
        back = await cluster.come_back(two, resume)
        if has_got or fate != "stopped":  # that is told of a "subscribed" that it cannot be sent
            assert notes(back.told) == [2]


async def test_who_comes_back_to_a_node_that_it_has_just_left_is_there_for_good() -> None:
    """That one has the former session for a while still, and then only that is over."""
    async with Cluster.running() as cluster:
        one, two = await cluster.start(), await cluster.start()
        client = await come(one)
        for server in (two, one):
            lose(server, client)
            client = await cluster.come_back(server, client.resume)
        await cluster.clock.advance(30)
        session = client.session
        assert session.pid is not None
        assert one.sessions.directory.resumable(session.pid) is session
        assert await one.disconnect("ada") == 1
        assert len(one.sessions.directory) == len(two.sessions.directory) == 0


async def test_a_session_that_two_nodes_have_is_had_from_both(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One of them was out of reach when it went on elsewhere, and so was not told."""
    async with Cluster.running() as cluster:
        one, two, three = [await cluster.start() for _ in range(3)]
        client = await come(one)
        lose(one, client)
        assert isinstance(one._parts.pubsub, MemoryPubSub)
        cluster.broker.nodes.discard(one._parts.pubsub)
        client = await cluster.come_back(two, client.resume)
        cluster.broker.nodes.add(one._parts.pubsub)
        lose(two, client)
        client = await cluster.come_back(three, client.resume)
        assert client.names == ["connected", "recovered"]
        await cluster.clock.advance(30)
        assert [len(each.sessions.directory) for each in (one, two, three)] == [0, 0, 1]
        assert [each for each in caplog.records if each.levelname == "ERROR"] == []


async def test_who_comes_while_its_node_is_leaving_it_comes_again_and_has_all() -> None:
    async with Cluster.running() as cluster:
        one, two = await cluster.start(), await cluster.start()
        client = await come(one)
        resume = client.resume
        await request(one, client, "ping")
        lose(one, client)
        put, written = cluster.storage.put, anyio.Event()

        async def slow(key: str, value: bytes, *, ttl: float | None = None) -> None:
            await written.wait()
            await put(key, value, ttl=ttl)

        cluster.storage.put = slow  # type: ignore[method-assign] # as under load
        cluster.stop(one)
        await settle()
        assert await come_or_none(two, **resume) is None
        written.set()
        await cluster.leave(one, "stopped")
        back = await cluster.come_back(two, resume)
        assert back.names == ["connected", "pong", "recovered"]


async def test_who_is_gone_before_it_has_come_is_there_once() -> None:
    """It is lost in the moment in which its new node records it."""
    async with Cluster.running() as cluster:
        one, two = await cluster.start(), await cluster.start()
        client = await come(one)
        await subscribe(one, client)
        lose(one, client)
        put, written = cluster.storage.put, anyio.Event()

        async def slow(key: str, value: bytes, *, ttl: float | None = None) -> None:
            await written.wait()
            await put(key, value, ttl=ttl)

        cluster.storage.put = slow  # type: ignore[method-assign] # for the client to go meanwhile
        async with anyio.create_task_group() as tasks:
            shown = ObjectArguments([{"token": "ada", **client.resume}])
            tasks.start_soon(two.sessions.authenticate, MemorySocket(JSON), shown)
            await settle()
            tasks.cancel_scope.cancel()
            written.set()
        await settle()
        await cluster.clock.advance(3.0)
        assert [len(each.sessions.directory) for each in (one, two)] == [0, 1]
        witness = await come(two, "bob")
        assert await subscribe(two, witness) == 2
        await cluster.clock.advance(15.0)
        assert [sent.name for sent in witness.take()] == ["user_left_room"]
        await cluster.clock.advance(120.0)
        assert len(two.sessions.directory) == 1


@pytest.mark.parametrize("sent", ["alone", "to a room"])
async def test_what_its_node_has_not_kept_is_told_though_it_is_recorded(sent: str) -> None:
    """That node lives, and knows: a record tells of the rooms alone."""
    async with Cluster.running() as cluster:
        recovery = Recovery(max_events=1)
        one, two = await cluster.start(recovery=recovery), await cluster.start()
        client = await come(one)
        await subscribe(one, client)
        resume, session = client.resume, client.session
        lose(one, client)
        for number in range(3):
            if sent == "alone":
                one._hub.send(session, Note(number=number))
            else:
                one.to("room:a").emit(Note(number=number))
        back = await cluster.come_back(two, resume)
        assert back.names == ["connected", "session_lost"]


async def test_where_its_node_cannot_tell_its_rights_it_comes_back_later() -> None:
    """It is not taken from its record, which does not have what it was sent alone."""
    closed: list[str] = []
    plugin = Plugin("rooms")
    plugin.emits(Note)

    @plugin.room("room:{name}")
    async def join(_ctx: object, name: str) -> None:
        if name in closed:
            raise Overloaded("Ask again")

    async with Cluster.running() as cluster:
        two = await cluster.start()
        pubsub = MemoryPubSub(cluster.broker)
        one = Server(
            [plugin],
            auth=AnyToken(),
            pubsub=pubsub,
            storage=cluster.storage,
            clock=cluster.clock,
        )
        async with one.lifespan():
            client = await come(one)
            await subscribe(one, client)
            resume, session = client.resume, client.session
            lose(one, client)
            one._hub.send(session, Note(number=1))
            closed.append("a")
            with pytest.raises(Unavailable):
                await come(two, **resume)
            closed.clear()
            back = await cluster.come_back(two, resume)
            assert notes(back.told) == [1]


async def test_what_it_was_sent_while_it_moved_waits_for_no_dead_node() -> None:
    """A moment later it may have gone on, to a node that would not be told of that."""
    async with Cluster.running() as cluster:
        one, two, three = [await cluster.start() for _ in range(3)]
        client = await come(one)
        session = client.session
        lose(one, client)
        await cluster.leave(three, "dead")
        arrived = two._parts.handover.arrived

        def arrive(at: Session) -> None:
            arrived(at)
            one._hub.send(session, Note(number=1))

        two._parts.handover.arrived = arrive
        back = await come(two, **client.resume)
        await settle()
        assert notes([*back.told, *back.take()]) == [1]


@pytest.mark.parametrize("heard", [0, 1])
async def test_what_it_was_sent_while_it_moved_is_lost_with_a_word_if_its_node_dies(
    heard: int,
) -> None:
    """Before it has answered, or when it has said how much there is, and not told that yet."""
    async with Cluster.running() as cluster:
        one, two = await cluster.start(), await cluster.start()
        client = await come(one)
        session = client.session
        lose(one, client)
        arrived, publish = two._parts.handover.arrived, one._parts.pubsub.publish_nowait
        said: list[str] = []

        def die(channel: str, payload: bytes, *, kept: bool = False) -> None:
            said.append(channel)
            if len(said) <= heard:
                publish(channel, payload, kept=kept)

        def arrive(at: Session) -> None:
            arrived(at)
            one._hub.send(session, Note(number=1))
            one._parts.pubsub.publish_nowait = die  # type: ignore[method-assign] # in the middle

        two._parts.handover.arrived = arrive
        back = await come(two, **client.resume)
        await settle()
        await cluster.clock.advance(PATIENCE)
        await settle()
        assert len(said) > heard
        names = [sent.name for sent in (*back.told, *back.take())]
        assert names == ["connected", "recovered", "answers_lost"]


async def test_who_comes_to_a_node_that_does_not_know_its_room_is_out_of_that(fate: str) -> None:
    """As of another version, while one follows the other."""
    other = Plugin("rooms")
    other.emits(Note)
    async with Cluster.running() as cluster:
        one = await cluster.start()
        client = await come(one)
        await subscribe(one, client)
        lose(one, client)
        two = Server(
            [other],
            auth=AnyToken(),
            pubsub=MemoryPubSub(cluster.broker),
            storage=cluster.storage,
            clock=cluster.clock,
        )
        async with two.lifespan():
            await settle()
            await cluster.clock.advance(1.0)
            await cluster.leave(one, fate)
            back = await cluster.come_back(two, client.resume)
            gone = ["answers_lost"] if fate == "dead" else []
            assert sorted(back.names) == [*gone, "connected", "error", "recovered"]
            assert two.sessions.directory.get(back.session.sid) is back.session
            assert two._membership.rooms(back.session) == ["user:ada"]
