"""The life of a session, case by case: let in, lost, resumed, and over."""

from __future__ import annotations

import anyio
import msgspec
import pytest

from lbproto import (
    Admission,
    Recovery,
    UsageError,
)
from lbproto.testing import VirtualClock, settle
from lbproto.wire import CLIENT_LEFT, CloseCode, Unavailable, WireFormat
from lbproto.wire.arguments import ObjectArguments
from tests.core.harness import MemorySocket, Sent
from tests.core.sessions import (
    JSON,
    Connected,
    Note,
    Rooms,
    come,
    come_or_none,
    lose,
    request,
    serve,
    subscribe,
)

pytestmark = pytest.mark.anyio


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
            assert len(server.sessions.directory) == 1  # nobody else will come back to the former


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
        assert len(server.sessions.directory) == 0
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
        assert len(server.sessions.directory) == 0
        assert len(server._parts.log) == 0


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


def test_a_grace_longer_than_the_window_makes_no_sense() -> None:
    with pytest.raises(UsageError, match="grace"):
        Recovery(window=10.0, grace=10.1)


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
        assert numbers.kept_events == len(server._parts.log)
        assert numbers.kept_bytes == server._parts.log.size > 0
        room = server.room_statistics("room:a")
        assert (room.sessions, room.away, room.kept_events) == (2, 1, 2)
        assert server.room_statistics("nowhere").sessions == 0
        own = server.session_statistics(client.session)
        assert (own.away, own.rooms, own.outbox.queued_frames) == (False, 2, 1)
        session = server.sessions.directory.of("bob")[0]
        assert server.session_statistics(session).away
