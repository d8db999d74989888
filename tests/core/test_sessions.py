"""The life of a session, case by case: let in, lost, resumed, renewed, and over."""

from __future__ import annotations

from typing import Any

import anyio
import msgspec
import pytest

from lbproto import (
    Admission,
    Context,
    Event,
    Identity,
    NotFound,
    Plugin,
    Recovery,
    RequestTimeout,
    Server,
    Unauthorized,
    UsageError,
)
from lbproto.errors import InvalidRequest
from lbproto.session import Session
from lbproto.testing import START, VirtualClock, settle
from lbproto.wire import CLIENT_LEFT, CloseCode, Inbound, Peer, Refused, Unavailable, WireFormat
from lbproto.wire.arguments import JSONArguments, ObjectArguments
from tests.core.harness import FORMATS, MemorySocket, Sent

pytestmark = pytest.mark.anyio

JSON = FORMATS["socketio-json"]


class Note(Event):
    number: int
    text: str = ""


class Nudge(Event):
    """Asks the client for its opinion."""


class Opinion(Event):
    liked: bool


class Own(Event):
    application_id: str = "default"


class Owned(Event):
    application_id: str


class Rooms:
    """Rooms whose owner may change its mind."""

    def __init__(self) -> None:
        self.open = True

    def plugin(self) -> Plugin:
        plugin = Plugin("rooms")
        plugin.emits(Note, Opinion)

        @plugin.room("room:{name}")
        async def join(ctx: Context, name: str) -> None:
            if not self.open:
                raise NotFound("The room is closed")

        @plugin.on(Nudge)
        async def nudge(ctx: Context, request: Nudge) -> Note:
            liked = await ctx.emit_with_ack(Opinion(liked=True), Opinion, timeout=5.0)
            return Note(number=int(liked.liked))

        @plugin.on(Own)
        async def own(ctx: Context, request: Own) -> Owned:
            await ctx.authorize(request.application_id)
            return Owned(application_id=request.application_id)

        return plugin


class Tokens:
    """A token is `<user>`, or `<user>/<seconds>` for one whose life ends after so many."""

    async def authenticate(self, token: str, peer: Peer) -> Identity:
        user, _, seconds = token.partition("/")
        if not user:
            raise Unauthorized("no token")
        claims = {"applications": ["acme"]} if user == "ada" else {}
        return Identity(user, claims, START + float(seconds) if seconds else None)


class Connected:
    """A connection of a client, and what it is told."""

    def __init__(self, socket: MemorySocket, told: list[Sent]) -> None:
        self.socket = socket
        self.told = told

    @property
    def session(self) -> Session:
        session: Session = self.socket.state
        return session

    @property
    def resume(self) -> dict[str, Any]:
        """What a stock client shows when it comes back: its pid, and the last offset it has got."""
        (message,) = self.socket.frames[-1].messages
        assert isinstance(message, str)
        values = msgspec.json.decode(message.removeprefix("42"))
        offset = values["offset"] if isinstance(values, dict) else values[-1]
        return {"pid": self.socket.pid, "offset": offset}

    @property
    def names(self) -> list[str]:
        return [sent.name for sent in self.told]

    def take(self) -> list[Sent]:
        return self.socket.take()


async def come(
    server: Server, user: str = "ada", format_: WireFormat = JSON, **auth: Any
) -> Connected:
    socket = MemorySocket(format_)
    await server.sessions.authenticate(socket, ObjectArguments([{"token": user, **auth}]))
    await server.sessions.opened(socket)
    return Connected(socket, socket.take())


def lose(server: Server, client: Connected, reason: str = "transport close") -> None:
    server.sessions.closed(client.socket, reason)


async def request(server: Server, client: Connected, event: str, **data: Any) -> list[Sent]:
    raw = msgspec.Raw(msgspec.json.encode(data))
    await server.sessions.event(client.socket, Inbound(event, JSONArguments([raw]), None))
    return client.take()


async def subscribe(server: Server, client: Connected, room: str = "room:a") -> int:
    (subscribed,) = await request(server, client, "subscribe", room=room)
    count: int = subscribed.data["subscriberCount"]
    return count


@pytest.fixture
def rooms() -> Rooms:
    return Rooms()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


def serve(rooms: Rooms, clock: VirtualClock, **options: Any) -> Server:
    return Server([rooms.plugin()], auth=Tokens(), clock=clock, **options)


# Lost, and back


async def test_the_same_session_goes_on(rooms: Rooms, clock: VirtualClock) -> None:
    server = serve(rooms, clock)
    async with server.lifespan():
        client = await come(server)
        assert client.names == ["connected"]
        await subscribe(server, client)
        lose(server, client)
        server.to("room:a").emit(Note(number=1))
        server.to_user("ada").emit(Note(number=2))
        again = await come(server, **client.resume)
        assert (again.socket.sid, again.socket.pid) == (client.socket.sid, client.socket.pid)
        assert again.names == ["connected", "note", "note", "recovered"]
        assert [sent.data["number"] for sent in again.told[1:3]] == [1, 2]
        assert again.told[-1] == Sent("recovered", {"missed": 2})
        server.to("room:a").emit(Note(number=3))
        assert [sent.data["number"] for sent in again.take()] == [3]


async def test_one_that_has_got_nothing_goes_on_from_its_start(
    rooms: Rooms, clock: VirtualClock
) -> None:
    server = serve(rooms, clock)
    async with server.lifespan():
        client = await come(server)
        await subscribe(server, client)
        lose(server, client)
        again = await come(server, pid=client.socket.pid)
        assert again.names == ["connected", "subscribed", "recovered"]


async def test_a_loss_in_the_middle_of_what_was_missed(rooms: Rooms, clock: VirtualClock) -> None:
    server = serve(rooms, clock)
    async with server.lifespan():
        client = await come(server)
        resume = client.resume
        lose(server, client)
        for number in range(4):
            server.to_user("ada").emit(Note(number=number))
        again = await come(server, **resume)
        again.socket.frames[1:] = []  # only `connected` has arrived
        lose(server, again)
        once_more = await come(server, **again.resume)
        assert once_more.names == ["connected", *["note"] * 4, "recovered"]


@pytest.mark.parametrize("offset", ["x", "", 7, None, {}, "epoch.1", "A" * 9 + ".99"], ids=repr)
async def test_an_offset_that_is_none(rooms: Rooms, clock: VirtualClock, offset: object) -> None:
    server = serve(rooms, clock)
    async with server.lifespan():
        client = await come(server)
        lose(server, client)
        again = await come(server, pid=client.socket.pid, offset=offset)
        if offset is None:
            assert again.names == ["connected", "recovered"]
        else:
            assert again.names == ["connected", "session_lost"]
            assert again.socket.sid != client.socket.sid
            assert len(server.sessions) == 1  # nobody else will come back to the former


async def test_an_offset_of_the_future(rooms: Rooms, clock: VirtualClock) -> None:
    server = serve(rooms, clock)
    async with server.lifespan():
        client = await come(server)
        lose(server, client)
        epoch = str(client.resume["offset"]).partition(".")[0]
        again = await come(server, pid=client.socket.pid, offset=f"{epoch}.9999")
        assert again.names == ["connected", "session_lost"]


@pytest.mark.parametrize(
    "pid", ["x", 7, {}, [], True, "p" * 100_000], ids=["x", "7", "{}", "[]", "true", "long"]
)
async def test_a_pid_that_is_none(rooms: Rooms, clock: VirtualClock, pid: object) -> None:
    server = serve(rooms, clock)
    async with server.lifespan():
        client = await come(server, pid=pid, offset="x")
        assert client.names == ["connected", "session_lost"]


async def test_another_users_session_is_not_ones_own(rooms: Rooms, clock: VirtualClock) -> None:
    server = serve(rooms, clock)
    async with server.lifespan():
        client = await come(server)
        lose(server, client)
        thief = await come(server, "bob", **client.resume)
        assert thief.names == ["connected", "session_lost"]
        assert (await come(server, **client.resume)).names == ["connected", "recovered"]


async def test_whoever_resumes_takes_over(rooms: Rooms, clock: VirtualClock) -> None:
    server = serve(rooms, clock)
    async with server.lifespan():
        client = await come(server)
        await subscribe(server, client)
        again = await come(server, **client.resume)
        assert again.names == ["connected", "recovered"]
        assert client.socket.disconnects == 1
        lose(server, client)  # what happens to the former connection means nothing now
        assert await request(server, client, "ping") == []
        server.to("room:a").emit(Note(number=1))
        assert client.take() == []
        assert [sent.name for sent in again.take()] == ["note"]
        assert server._membership.count("room:a") == 1


async def test_grace_and_window(rooms: Rooms, clock: VirtualClock) -> None:
    server = serve(rooms, clock)
    async with server.lifespan():
        watcher, client = await come(server, "bob"), await come(server)
        await subscribe(server, watcher)
        await subscribe(server, client)
        watcher.take()
        lose(server, client)
        await clock.advance(14.9)
        assert server._membership.count("room:a") == 2
        assert watcher.take() == []
        await clock.advance(0.1)
        assert server._membership.count("room:a") == 1
        assert [sent.name for sent in watcher.take()] == ["user_left_room"]
        await clock.advance(104.9)
        again = await come(server, **client.resume)
        assert again.names[-1] == "recovered"
        assert server._membership.count("room:a") == 2
        assert [sent.name for sent in watcher.take()] == ["user_joined_room"]
        lose(server, again)
        await clock.advance(120.0)
        assert server.sessions.away == 0
        late = await come(server, **again.resume)
        assert late.names == ["connected", "session_lost"]


async def test_a_clean_leave_is_the_end(rooms: Rooms, clock: VirtualClock) -> None:
    server = serve(rooms, clock)
    async with server.lifespan():
        client = await come(server)
        lose(server, client, CLIENT_LEFT)
        assert len(server.sessions) == 0
        again = await come(server, **client.resume)
        assert again.names == ["connected", "session_lost"]


async def test_without_recovery_a_loss_is_the_end(rooms: Rooms, clock: VirtualClock) -> None:
    server = serve(rooms, clock, recovery=None)
    async with server.lifespan():
        client = await come(server)
        assert client.socket.pid is None
        assert "pid" not in client.told[0].data
        (message,) = client.socket.frames[0].messages
        assert isinstance(message, str)
        assert len(msgspec.json.decode(message[2:])) == 2  # no offset
        await subscribe(server, client)
        lose(server, client)
        assert len(server.sessions) == 0
        assert len(server._log) == 0


async def test_rights_are_asked_for_again(rooms: Rooms, clock: VirtualClock) -> None:
    server = serve(rooms, clock)
    async with server.lifespan():
        client = await come(server)
        await subscribe(server, client)
        lose(server, client)
        server.to("room:a").emit(Note(number=1))
        rooms.open = False
        again = await come(server, **client.resume)
        assert again.names == ["connected", "unsubscribed", "error", "recovered"]
        refusal = again.told[2].data
        assert (refusal["code"], refusal["event"]) == ("NOT_FOUND", "subscribe")
        server.to("room:a").emit(Note(number=2))
        assert again.take() == []


async def test_what_is_missed_comes_no_faster_than_it_is_taken(
    rooms: Rooms, clock: VirtualClock
) -> None:
    server = serve(rooms, clock)
    async with server.lifespan(), anyio.create_task_group() as tasks:
        client = await come(server)
        resume = client.resume
        lose(server, client)
        for number in range(3_000):
            server.to_user("ada").emit(Note(number=number))
        socket = Slow(JSON)
        auth = {"token": "ada", **resume}
        await server.sessions.authenticate(socket, ObjectArguments([auth]))
        tasks.start_soon(server.sessions.opened, socket)
        numbers: list[int] = []
        for _ in range(4):
            await settle()
            batch = socket.take()
            assert len(batch) <= 1_026
            numbers += [sent.data["number"] for sent in batch if sent.name == "note"]
            server.to_user("ada").emit(Note(number=3_000 + len(numbers)))  # only for the log now
            socket.drained.set()
        await settle()
        last = socket.take()
        numbers += [sent.data["number"] for sent in last if sent.name == "note"]
        assert numbers[:3_000] == list(range(3_000))
        assert numbers == sorted(numbers)


class Slow(MemorySocket):
    """A socket whose outbox runs dry when the test says so."""

    def __init__(self, format_: WireFormat) -> None:
        super().__init__(format_, max_frames=4_096, max_bytes=4 * 2**20)
        self.drained = anyio.Event()

    async def wait_drained(self) -> None:
        await self.drained.wait()
        self.drained = anyio.Event()


async def test_a_client_that_is_slower_than_the_log_loses_its_session(
    rooms: Rooms, clock: VirtualClock
) -> None:
    server = serve(rooms, clock, recovery=Recovery(max_events=2_000))
    async with server.lifespan(), anyio.create_task_group() as tasks:
        client = await come(server)
        resume = client.resume
        lose(server, client)
        for number in range(1_900):
            server.to_user("ada").emit(Note(number=number))
        socket = Slow(JSON)
        auth = {"token": "ada", **resume}
        await server.sessions.authenticate(socket, ObjectArguments([auth]))
        tasks.start_soon(server.sessions.opened, socket)
        await settle()
        for number in range(1_900):
            server.to_user("ada").emit(Note(number=number))
        socket.drained.set()
        await settle()
        assert [code for code, _ in socket.closed_with] == [CloseCode.SLOW_CONSUMER]
        lose(server, Connected(socket, []))
        again = await come(server, **resume)
        assert again.names == ["connected", "session_lost"]


async def test_as_many_wait_as_may(rooms: Rooms, clock: VirtualClock) -> None:
    server = serve(rooms, clock, recovery=Recovery(max_away=2))
    async with server.lifespan():
        clients = [await come(server, f"user-{number}") for number in range(3)]
        for client in clients:
            lose(server, client)
        assert server.sessions.away == 2
        back = [
            (await come(server, f"user-{number}", **client.resume)).names[-1]
            for number, client in enumerate(clients)
        ]
        assert back == ["session_lost", "recovered", "recovered"]


async def test_as_many_sessions_as_a_user_may_have(rooms: Rooms, clock: VirtualClock) -> None:
    admission = Admission(max_sessions_per_user=2)
    server = serve(rooms, clock, admission=admission)
    async with server.lifespan():
        first, second = await come(server), await come(server)
        with pytest.raises(Unavailable, match="too many"):
            await come(server)
        await come(server, "bob")
        lose(server, first)
        third = await come(server)  # takes the place of the one that waits
        assert third.names == ["connected"]
        assert (await come_or_none(server, **first.resume)) is None
        lose(server, second, CLIENT_LEFT)
        assert (await come(server)).names == ["connected"]


async def come_or_none(server: Server, **auth: Any) -> Connected | None:
    try:
        return await come(server, **auth)
    except Unavailable:
        return None


def test_a_grace_longer_than_the_window_makes_no_sense() -> None:
    with pytest.raises(UsageError, match="grace"):
        Recovery(window=10.0, grace=10.1)


# Expiry


async def test_a_tokens_end_means_nothing_by_default(rooms: Rooms, clock: VirtualClock) -> None:
    server = serve(rooms, clock)
    async with server.lifespan():
        client = await come(server, "ada/60")
        await clock.advance(3_600.0)
        assert client.take() == []
        assert client.socket.closed_with == []


@pytest.mark.parametrize(("life", "warned"), [(600.0, 540.0), (60.0, 30.0), (1.0, 0.5)])
async def test_an_enforced_end(
    rooms: Rooms, clock: VirtualClock, life: float, warned: float
) -> None:
    server = serve(rooms, clock, admission=Admission(expiry="enforce"))
    async with server.lifespan():
        client = await come(server, f"ada/{life}")
        await clock.advance(warned - 0.01)
        assert client.take() == []
        await clock.advance(0.01)
        (expiring,) = client.take()
        assert expiring.name == "session_expiring"
        assert expiring.data["expiresAt"].startswith("2026-01-20T12:")
        await clock.advance(life - warned - 0.01)
        assert client.socket.closed_with == []
        await clock.advance(0.01)
        ((code, _),) = client.socket.closed_with
        assert code is CloseCode.UNAUTHORIZED
        lose(server, client)
        again = await come(server, "ada/9999", **client.resume)
        assert again.names[-1] == "recovered"


async def test_renewal(rooms: Rooms, clock: VirtualClock) -> None:
    server = serve(rooms, clock, admission=Admission(expiry="enforce"))
    async with server.lifespan():
        client = await come(server, "ada/100")
        await clock.advance(50.0)
        assert [sent.name for sent in client.take()] == ["session_expiring"]
        (refused,) = await request(server, client, "authenticate", token="bob/1000")
        assert (refused.name, refused.data["code"]) == ("error", "UNAUTHORIZED")
        (refused,) = await request(server, client, "authenticate", token="")
        assert refused.data["code"] == "UNAUTHORIZED"
        assert await request(server, client, "authenticate", token="Bearer ada/1000") == []
        await clock.advance(800.0)
        assert client.take() == []
        assert client.session.identity.expires_at == START + 1000
        await clock.advance(150.0)
        assert client.socket.closed_with


async def test_the_highest_age(rooms: Rooms, clock: VirtualClock) -> None:
    server = serve(rooms, clock, admission=Admission(max_session_age=3_600.0))
    async with server.lifespan():
        client = await come(server)
        await clock.advance(1_800.0)
        lose(server, client)
        again = await come(server, **client.resume)
        assert again.names[-1] == "recovered"
        await clock.advance(1_799.9)
        assert again.socket.closed_with == []
        await clock.advance(0.1)
        ((code, _),) = again.socket.closed_with
        assert code is CloseCode.GOING_AWAY
        assert len(server.sessions) == 0


async def test_revoked_tokens(rooms: Rooms, clock: VirtualClock) -> None:
    revoked: set[str] = set()

    async def is_revoked(identity: Identity) -> bool:
        return identity.user_id in revoked

    server = serve(rooms, clock, admission=Admission(revoked=is_revoked))
    async with server.lifespan():
        client = await come(server)
        revoked.add("ada")
        (refused,) = await request(server, client, "authenticate", token="ada")
        assert refused.data["message"] == "the token has been revoked"
        lose(server, client)
        with pytest.raises(Refused, match="revoked"):
            await come(server, **client.resume)


async def test_applications(rooms: Rooms, clock: VirtualClock) -> None:
    server = serve(rooms, clock)
    async with server.lifespan():
        ada, bob = await come(server, "ada"), await come(server, "bob")
        for client, application, allowed in (
            (ada, "default", True),
            (ada, "acme", True),
            (ada, "other", False),
            (bob, "acme", False),
        ):
            (answer,) = await request(server, client, "own", applicationId=application)
            assert answer.name == ("owned" if allowed else "error")
            assert allowed or answer.data["code"] == "UNAUTHORIZED"


# Moderation


async def test_members_kick_and_disconnect(rooms: Rooms, clock: VirtualClock) -> None:
    server = serve(rooms, clock)
    async with server.lifespan():
        ada, away, bob = await come(server), await come(server), await come(server, "bob")
        for client in (ada, away, bob):
            await subscribe(server, client)
        lose(server, away)
        members = await server.members("room:a")
        assert [session.user_id for session in members] == ["ada", "ada", "bob"]
        assert server.room_statistics("room:a").away == 1
        bob.take()
        ada.take()
        assert await server.kick("ada", "room:a") == 2
        assert [sent.name for sent in ada.take()] == ["unsubscribed"]
        assert [sent.name for sent in bob.take()] == ["user_left_room"]
        assert await server.kick("ada", "room:a") == 0
        back = await come(server, **away.resume)
        assert back.names == ["connected", "user_joined_room", "unsubscribed", "recovered"]
        assert await server.disconnect("ada") == 2
        assert (ada.socket.disconnects, back.socket.disconnects) == (1, 1)
        assert (await come(server, **back.resume)).names[-1] == "session_lost"


async def test_bans(rooms: Rooms, clock: VirtualClock) -> None:
    server = serve(rooms, clock)
    async with server.lifespan():
        client = await come(server)
        await subscribe(server, client)
        await server.ban("ada", "room:a", seconds=600)
        assert [sent.name for sent in client.take()] == ["unsubscribed"]
        (refused,) = await request(server, client, "subscribe", room="room:a")
        assert refused.data["message"] == "You are banned from this room"
        assert await subscribe(server, client, "room:b") == 1
        await clock.advance(600.0)
        assert await subscribe(server, client) == 1
        await server.ban("ada", "room:b")
        await server.unban("ada", "room:b")
        client.take()
        assert await subscribe(server, client, "room:b") == 1
        await server.ban("ada")
        assert client.socket.disconnects == 1
        with pytest.raises(Refused, match="banned from this server"):
            await come(server)
        await server.unban("ada")
        assert (await come(server)).names == ["connected"]


async def test_a_ban_while_away(rooms: Rooms, clock: VirtualClock) -> None:
    server = serve(rooms, clock)
    async with server.lifespan():
        client = await come(server)
        await subscribe(server, client)
        lose(server, client)
        await server._bans.add("ada", "room:a", None)  # as another node does
        again = await come(server, **client.resume)
        assert again.names == ["connected", "unsubscribed", "error", "recovered"]


# Asking a client


@pytest.mark.parametrize("wire", FORMATS)
async def test_a_client_is_asked_and_answers(rooms: Rooms, clock: VirtualClock, wire: str) -> None:
    server = serve(rooms, clock)
    async with server.lifespan(), anyio.create_task_group() as tasks:
        client = await come(server, format_=FORMATS[wire])
        tasks.start_soon(request_nudge, server, client)
        await settle()
        id_ = asked(client)
        answer = ObjectArguments([{"liked": False}])
        server.sessions.acknowledged(client.socket, 999, answer)  # nobody asked that
        server.sessions.acknowledged(client.socket, id_, answer)
        await settle()
        assert client.take()[-1].data == {"number": 0}
        server.sessions.acknowledged(client.socket, id_, answer)  # once is enough
        assert server._acknowledgements._open == {}


async def request_nudge(server: Server, client: Connected) -> None:
    await server.sessions.event(client.socket, Inbound("nudge", JSONArguments([]), None))


def asked(client: Connected) -> int:
    """The id of the event that the client is asked to acknowledge."""
    (message,) = client.socket.outbox.take()[-1].messages
    if isinstance(message, bytes):
        packet = msgspec.msgpack.decode(message)
    elif message.startswith("42"):
        number = message[2 : message.index("[")]
        packet = {"id": int(number)}
        assert len(msgspec.json.decode(message[2 + len(number) :])) == 2  # no offset
    else:
        packet = msgspec.json.decode(message)
    assert "offset" not in packet
    id_: int = packet["id"]
    return id_


async def test_a_client_that_does_not_answer(rooms: Rooms, clock: VirtualClock) -> None:
    server = serve(rooms, clock)
    async with server.lifespan(), anyio.create_task_group() as tasks:
        client = await come(server)
        tasks.start_soon(request_nudge, server, client)
        await clock.advance(4.9)
        assert [sent.name for sent in client.take()] == ["opinion"]
        await clock.advance(0.1)
        (refused,) = client.take()
        assert refused.data["code"] == "TIMEOUT"
        server.sessions.acknowledged(client.socket, 1, ObjectArguments([]))  # too late


async def test_a_client_that_is_lost_while_it_is_asked(rooms: Rooms, clock: VirtualClock) -> None:
    server = serve(rooms, clock)
    async with server.lifespan():
        client = await come(server)
        session = client.session
        async with anyio.create_task_group() as tasks:
            failures: list[BaseException] = []

            async def ask() -> None:
                try:
                    await server.emit_with_ack(session, Note(number=1), dict)
                except RequestTimeout as error:
                    failures.append(error)

            tasks.start_soon(ask)
            await settle()
            lose(server, client)
            await settle()
            assert len(failures) == 1
            await ask()  # while it is away
        assert len(failures) == 2
        again = await come(server, **client.resume)
        assert again.names == ["connected", "recovered"]  # it is not asked again


async def test_an_answer_that_does_not_fit(rooms: Rooms, clock: VirtualClock) -> None:
    server = serve(rooms, clock)
    async with server.lifespan(), anyio.create_task_group() as tasks:
        client = await come(server)
        session = client.session
        failures: list[str] = []

        async def ask() -> None:
            with pytest.raises(InvalidRequest) as failure:
                await server.emit_with_ack(session, Note(number=1), int)
            failures.append(failure.value.message)

        tasks.start_soon(ask)
        await settle()
        id_ = asked(client)
        server.sessions.acknowledged(client.socket, id_, ObjectArguments(["no number"]))
        await settle()
        assert failures == ["Expected `int`, got `str`"]


# In numbers


async def test_statistics(rooms: Rooms, clock: VirtualClock) -> None:
    server = serve(rooms, clock)
    async with server.lifespan():
        client, other = await come(server), await come(server, "bob")
        for each in (client, other):
            await subscribe(server, each)
        lose(server, other)
        client.take()
        server.to("room:a").emit(Note(number=1))
        numbers = server.statistics()
        assert (numbers.sessions, numbers.away, numbers.rooms) == (2, 1, 3)
        assert numbers.kept_events == len(server._log)
        assert numbers.kept_bytes == server._log.size > 0
        room = server.room_statistics("room:a")
        assert (room.sessions, room.away, room.kept_events) == (2, 1, 2)
        assert server.room_statistics("nowhere").sessions == 0
        own = server.session_statistics(client.session)
        assert (own.away, own.rooms, own.outbox.queued_frames) == (False, 2, 1)
        session = server.sessions.of("bob")[0]
        assert server.session_statistics(session).away
