"""Rooms as clients see them: subscribing, leaving, rights, limits and refusals."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import pytest

from lbproto import Context, ErrorEvent, Event, NotFound, Plugin, Server, Settings, Unauthorized
from lbproto.testing import settle
from lbproto.wire import CloseCode, WireFormat
from tests.core.harness import FORMATS, Client, Sent, connected, running

pytestmark = pytest.mark.anyio


class Topic(Event):
    name: str
    serial: int


class Note(Event):
    text: str


class ClubError(ErrorEvent, kw_only=True):
    room: str
    hint: str = ""


class Rooms:
    """Rooms of every kind.

    Attributes:
        joined: how often the join function of `topic:` rooms was called.
        gate: what joining `slow` waits for.
    """

    def __init__(self) -> None:
        self.joined = 0
        self.gate = anyio.Event()

    def plugin(self) -> Plugin:
        plugin = Plugin("rooms")
        plugin.emits(Note)

        @plugin.room("topic:{name}", announce=False)
        async def topic(ctx: Context, name: str) -> Topic:
            if name == "none":
                raise NotFound("There is no such topic")
            if name == "broken":
                raise ZeroDivisionError
            self.joined += 1
            return Topic(name=name, serial=self.joined)

        @plugin.room("club", refused=ClubError)
        async def club(ctx: Context) -> None:
            if ctx.user_id != "member":
                raise Unauthorized("Members only")

        @plugin.room("slow")
        async def slow(ctx: Context) -> None:
            ctx.mark_snapshot()
            await self.gate.wait()

        @plugin.room("{kind}:{realm}:{name}", announce=False)
        async def anything(ctx: Context, kind: str, realm: str, name: str) -> None: ...

        return plugin


@pytest.fixture
def rooms() -> Rooms:
    return Rooms()


def no_trace(server: Server, room: str, client: Client) -> None:
    """Nothing in the server remembers that the client ever asked for the room."""
    assert server.to(room).emit(Note(text="anybody?")).matched == 0
    assert client.take() == []
    assert server._membership.count(room) == 0
    assert room not in server._membership._rooms.of(client.socket.state)
    assert server._membership._rooms.get(room) is None


# Subscribing


@pytest.mark.parametrize("format_", FORMATS.values(), ids=FORMATS)
async def test_subscribing_is_answered_and_then_events_come(
    rooms: Rooms, format_: WireFormat
) -> None:
    async with running(rooms.plugin()) as server:
        client = await connected(server, format_=format_)
        assert await client.ask("subscribe", {"room": "topic:x"}) == [
            Sent("subscribed", {"room": "topic:x", "subscriberCount": 1}),
            Sent("topic", {"name": "x", "serial": 1}),
        ]
        server.to("topic:x").emit(Note(text="hello"))
        server.to("topic:y").emit(Note(text="not for you"))
        assert client.take() == [Sent("note", {"text": "hello"})]


async def test_the_acknowledgement_of_a_subscription_is_subscribed(rooms: Rooms) -> None:
    async with running(rooms.plugin()) as server:
        client = await connected(server)
        subscribed, ack, topic = await client.ask("subscribe", {"room": "topic:x"}, ack=3)
        assert (subscribed.name, topic.name) == ("subscribed", "topic")
        assert ack.data == {"ok": True, "event": "subscribed", "data": subscribed.data}


async def test_sessions_are_counted_each_once(rooms: Rooms) -> None:
    async with running(rooms.plugin()) as server:
        one, two, three = [await connected(server, user) for user in ("ada", "ada", "bob")]
        counts = []
        for client in (one, two, three, two):
            subscribed, _ = await client.ask("subscribe", {"room": "topic:x"})
            counts.append(subscribed.data["subscriberCount"])
        assert counts == [1, 2, 3, 3]


async def test_subscribing_again_is_answered_with_the_rooms_first_message(rooms: Rooms) -> None:
    async with running(rooms.plugin()) as server:
        client = await connected(server)
        for serial in (1, 2, 3):
            assert await client.ask("subscribe", {"room": "topic:x"}) == [
                Sent("subscribed", {"room": "topic:x", "subscriberCount": 1}),
                Sent("topic", {"name": "x", "serial": serial}),
            ]
        assert server.to("topic:x").emit(Note(text="once")).matched == 1
        assert client.take() == [Sent("note", {"text": "once"})]


# Leaving


async def test_leaving_is_answered_and_nothing_more_comes(rooms: Rooms) -> None:
    async with running(rooms.plugin()) as server:
        client = await connected(server)
        await client.ask("subscribe", {"room": "topic:x"})
        answer = Sent("unsubscribed", {"room": "topic:x"})
        assert await client.ask("unsubscribe", {"room": "topic:x"}) == [answer]
        no_trace(server, "topic:x", client)


@pytest.mark.parametrize("room", ["topic:x", "nobody declared this", "user:bob"])
async def test_leaving_a_room_one_is_not_in_is_answered(rooms: Rooms, room: str) -> None:
    async with running(rooms.plugin()) as server:
        bob = await connected(server, "bob")
        client = await connected(server)
        assert await client.ask("unsubscribe", {"room": room}) == [
            Sent("unsubscribed", {"room": room})
        ]
        assert server.to_user("bob").emit(Note(text="still")).matched == 1
        assert bob.take() == [Sent("note", {"text": "still"})]


# The personal room


@pytest.mark.parametrize("user", ["ada", "oidc:ada:7", "user:bob"])
async def test_the_personal_room_cannot_be_left(rooms: Rooms, user: str) -> None:
    async with running(rooms.plugin()) as server:
        client = await connected(server, user)
        (refusal,) = await client.ask("unsubscribe", {"room": f"user:{user}"})
        assert refusal.name == "validation_error"
        assert refusal.data["message"] == "The personal room cannot be left"
        assert server.to_user(user).emit(Note(text="still")).matched == 1


@pytest.mark.parametrize("user", ["ada", "oidc:ada", "oidc:ada:7"])
async def test_the_own_personal_room_may_be_named(rooms: Rooms, user: str) -> None:
    async with running(rooms.plugin()) as server:
        client = await connected(server, user)
        room = f"user:{user}"
        assert await client.ask("subscribe", {"room": room}) == [
            Sent("subscribed", {"room": room, "subscriberCount": 1})
        ]


@pytest.mark.parametrize("other", ["bob", "oidc:bob", "oidc:bob:7", "ada:", ":ada"])
async def test_a_foreign_personal_room_is_refused(rooms: Rooms, other: str) -> None:
    async with running(rooms.plugin()) as server:
        await connected(server, other)
        client = await connected(server, "ada")
        (refusal,) = await client.ask("subscribe", {"room": f"user:{other}"})
        assert (refusal.name, refusal.data["code"]) == ("error", "UNAUTHORIZED")
        assert server.to_user(other).emit(Note(text="secret")).matched == 1
        assert client.take() == []


# Refusals


@pytest.mark.parametrize(
    ("room", "path"),
    [
        ("", "Expected `str` of length >= 1 - at `$.room`"),
        ("x" * 129, "Expected `str` of length <= 128 - at `$.room`"),
        (None, "Expected `str`, got `null` - at `$.room`"),
        (["x"], "Expected `str`, got `array` - at `$.room`"),
    ],
    ids=["empty", "129", "null", "list"],
)
@pytest.mark.parametrize("request_", ["subscribe", "unsubscribe"])
async def test_a_malformed_name(rooms: Rooms, request_: str, room: Any, path: str) -> None:
    async with running(rooms.plugin()) as server:
        client = await connected(server)
        (refusal,) = await client.ask(request_, {"room": room})
        assert refusal.name == "validation_error"
        assert refusal.data == {"code": "INVALID_REQUEST", "message": path, "event": request_}


async def test_a_name_of_128_characters_is_one(rooms: Rooms) -> None:
    async with running(rooms.plugin()) as server:
        client = await connected(server)
        room = "topic:" + "ß" * 122
        subscribed, _ = await client.ask("subscribe", {"room": room})
        assert subscribed.data["room"] == room


async def test_a_room_nobody_declared(rooms: Rooms) -> None:
    async with running(rooms.plugin()) as server:
        client = await connected(server)
        refusal, ack = await client.ask("subscribe", {"room": "nowhere"}, ack=1)
        assert (refusal.name, refusal.data["code"]) == ("error", "NOT_FOUND")
        assert "topic:{name}, club, slow" in refusal.data["message"]
        assert (ack.data["ok"], ack.data["error"]["code"]) == (False, "NOT_FOUND")
        assert server.room_statistics("nowhere").sessions == 0


@pytest.mark.parametrize(
    ("room", "code"), [("topic:none", "NOT_FOUND"), ("topic:broken", "INTERNAL")]
)
async def test_a_refused_join_leaves_no_trace(rooms: Rooms, room: str, code: str) -> None:
    async with running(rooms.plugin()) as server:
        client = await connected(server)
        (refusal,) = await client.ask("subscribe", {"room": room})
        assert (refusal.name, refusal.data["event"]) == ("error", "subscribe")
        assert refusal.data["code"] == code
        no_trace(server, room, client)


async def test_a_rooms_own_event_refuses(rooms: Rooms) -> None:
    async with running(rooms.plugin()) as server:
        client = await connected(server, "guest")
        envelope = {"code": "UNAUTHORIZED", "message": "Members only"}
        assert await client.ask("subscribe", {"room": "club"}, ack=1) == [
            Sent("club_error", {**envelope, "room": "club"}),
            Sent("ack", {"ok": False, "error": envelope}, 1),
        ]
        no_trace(server, "club", client)
        (refusal,) = await client.ask("subscribe", {"room": "nowhere"})
        assert refusal.name == "error"


async def test_a_session_is_in_so_many_rooms_at_most(rooms: Rooms) -> None:
    async with running(rooms.plugin(), max_rooms=2) as server:
        client = await connected(server)
        for room in ("topic:a", "topic:b", "topic:b"):
            assert len(await client.ask("subscribe", {"room": room})) == 2
        (refusal,) = await client.ask("subscribe", {"room": "topic:c"})
        assert (refusal.name, refusal.data["code"]) == ("error", "LIMIT_EXCEEDED")
        assert "at most 2 rooms" in refusal.data["message"]
        no_trace(server, "topic:c", client)
        await client.ask("unsubscribe", {"room": "topic:a"})
        assert len(await client.ask("subscribe", {"room": "topic:c"})) == 2


# The end in the middle


async def test_a_session_that_goes_while_it_joins_leaves_no_trace(rooms: Rooms) -> None:
    async with running(rooms.plugin()) as server, anyio.create_task_group() as tasks:
        client, other = await connected(server), await connected(server, "bob")
        tasks.start_soon(partial(client.send, "subscribe", {"room": "slow"}, ack=1))
        await settle()
        assert server.to("slow").emit(Note(text="held")).matched == 1
        client.close()
        rooms.gate.set()
        await settle()
        no_trace(server, "slow", client)
        assert (await other.ask("subscribe", {"room": "slow"}))[0].data["subscriberCount"] == 1
        assert other.take() == []


async def test_a_session_that_goes_leaves_every_room(rooms: Rooms) -> None:
    async with running(rooms.plugin()) as server:
        client = await connected(server)
        names = ["topic:a", "topic:b", "a:b:c"]
        for room in names:
            await client.ask("subscribe", {"room": room})
        client.close()
        for room in [*names, "user:ada"]:
            no_trace(server, room, client)


async def test_too_much_for_a_newcomer_to_keep_refuses_it(rooms: Rooms) -> None:
    settings = Settings(max_queued_frames=3)
    async with (
        running(rooms.plugin(), settings=settings) as server,
        anyio.create_task_group() as tasks,
    ):
        newcomer = await connected(server)
        tasks.start_soon(newcomer.send, "subscribe", {"room": "slow"})
        await settle()
        for _ in range(4):
            server.to("slow").emit(Note(text="n"))
        rooms.gate.set()
        await settle()
        (refusal,) = newcomer.take()
        assert (refusal.name, refusal.data["code"]) == ("error", "OVERLOADED")
        assert newcomer.socket.closed_with == []
        no_trace(server, "slow", newcomer)


async def test_too_much_for_a_member_to_keep_ends_its_connection(rooms: Rooms) -> None:
    settings = Settings(max_queued_frames=3)
    async with (
        running(rooms.plugin(), settings=settings) as server,
        anyio.create_task_group() as tasks,
    ):
        rooms.gate.set()
        member = await connected(server)
        await member.ask("subscribe", {"room": "slow"})
        rooms.gate = anyio.Event()
        tasks.start_soon(member.send, "subscribe", {"room": "slow"})
        await settle()
        for _ in range(4):
            server.to("slow").emit(Note(text="n"))
        rooms.gate.set()
        await settle()
        ((code, _),) = member.socket.closed_with
        assert code is CloseCode.SLOW_CONSUMER
        member.take()
        server.to("slow").emit(Note(text="behind the gap"))
        assert member.take() == []
