"""The flight recorder: what is kept, what is hidden, and what it costs whoever is not recorded."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from sys import getrefcount
from typing import Annotated, Any

import anyio
import msgspec
import pytest

from lbproto import Context, Event, Model, Plugin, Secret, Server, conflate
from lbproto.connection.socket import LiveSocket
from lbproto.delivery.outbox import Pushed
from lbproto.messages import Subscribe, Unsubscribe
from lbproto.recorder import Recorder, Recording, Row, decode, encode
from lbproto.recorder.reading import recording_of
from lbproto.recorder.recorder import _write
from lbproto.recorder.tape import Sent, Tape
from lbproto.testing import Client, VirtualClock, Wire, connect, serve, settle
from lbproto.wire import Inbound
from lbproto.wire.arguments import JSONArguments
from lbproto.wire.socketio import json_format

pytestmark = pytest.mark.anyio

WIRES: list[Wire] = ["socketio-json", "socketio-msgpack", "plain-json", "plain-msgpack"]


class Card(Model):
    number: Annotated[str, Secret]
    holder: str = ""


class Pay(Event):
    card: Card
    amount: int = 1
    picture: bytes = b""


class Paid(Event):
    receipt: str
    code: Annotated[int, Secret] = 0


class Fail(Event):
    pass


class News(Event):
    text: str


class Price(Event):
    now: int


class Confirm(Event):
    pass


def shop() -> Plugin:
    plugin = Plugin("shop")
    plugin.emits(News)
    plugin.emits(Price, overflow=conflate(lambda price: "the"))
    plugin.emits(Confirm)

    @plugin.room("news", announce=False)
    async def news(ctx: Context) -> None: ...

    @plugin.on(Pay)
    async def pay(ctx: Context, request: Pay) -> Paid:
        return Paid(receipt=f"{request.amount} of {request.card.holder}", code=4711)

    @plugin.on(Fail)
    async def fail(ctx: Context, request: Fail) -> None:
        raise ZeroDivisionError

    return plugin


@asynccontextmanager
async def recording(**options: Any) -> AsyncIterator[tuple[Server, Recorder]]:
    async with serve(shop()) as server:
        yield server, Recorder(server, **options)


def told(recording: Recording) -> list[tuple[str, str]]:
    return [(row.way, row.event) for row in recording.rows]


async def only(recorder: Recorder, **whose: Any) -> Recording:
    await settle()
    (found,) = recorder.recordings(**whose)
    return found


@pytest.mark.parametrize("wire", WIRES)
async def test_both_ways_are_recorded_on_every_wire(wire: Wire) -> None:
    async with recording() as (server, recorder):
        recorder.start()
        async with connect(server, "ada", wire=wire) as client:
            await client.request(Subscribe(room="news"))
            server.to("news").emit(News(text="extra"))
            await client.request(Pay(card=Card(number="4111", holder="Ada"), picture=b"\x00\xff"))
            found = await only(recorder)
        header, rows = found.header, {row.event: row for row in found.rows if row.way == "<"}
        assert (header.session, header.user, header.wire) == (client.sid, "ada", wire)
        assert header.began == "2026-01-20T12:00:00.000Z"
        assert told(found)[:3] == [("-", "(connected)"), ("<", "connected"), (">", "subscribe")]
        (request,) = (row for row in found.rows if row.event == "pay")
        assert request.data["card"] == {"number": "[hidden]", "holder": "Ada"}
        assert request.data["picture"] in (b"\x00\xff", "AP8=")
        assert request.id == 2
        assert rows["news"].data == {"text": "extra"}
        assert rows["news"].offset is not None
        assert rows["paid"].data == {"receipt": "1 of Ada", "code": 0}
        if wire.startswith("socketio"):
            assert rows["ack"].re == 2
            assert rows["ack"].data["data"] == {"receipt": "1 of Ada", "code": 0}
        else:
            assert rows["paid"].re == 2
        assert b"4111" not in encode(found)
        assert b"4711" not in encode(found)
        assert decode(encode(found)) == found
    assert told(await only(recorder))[-1] == ("-", "(closed)")  # also when it is over


async def test_a_ring_is_bounded_in_rows_and_in_bytes_and_knows_the_rooms() -> None:
    async with recording(max_frames=10) as (server, recorder), connect(server, "ada") as client:
        recorder.start(user_id="ada")
        await client.request(Subscribe(room="news"))
        client.emit(Subscribe(room="nowhere"))
        client.emit(Unsubscribe(room="nowhere"))
        await settle()
        for _ in range(20):
            server.to("news").emit(News(text="x" * 100))
        found = await only(recorder)
        assert len(found.rows) == 10
        assert found.header.left_out > 10
        assert found.header.rooms == ["news"]
    async with recording(max_bytes=20_000) as (server, recorder):
        recorder.start()
        async with connect(server, "ada", wire="plain-json") as client:
            for _ in range(50):
                client.emit({"event": "pay", "data": {"card": {"number": "1" * 1_000}}})
            found = await only(recorder)
            assert 20 < len(found.rows) < 30  # of a request and its answer each


async def test_one_that_is_recorded_from_the_middle_has_its_rooms() -> None:
    async with recording() as (server, recorder), connect(server, "ada") as client:
        await client.request(Subscribe(room="news"))
        (session,) = server.sessions.directory
        recorder.start(session=session)
        server.to("news").emit(News(text="extra"))
        found = await only(recorder)
        assert found.header.rooms == ["news"]
        assert told(found) == [("<", "news")]
        recorder.stop(session=session)
        server.to("news").emit(News(text="more"))
        assert recorder.recordings() == []
        await client.expect(News, text="more")
        client.close()
        await settle()
        recorder.start(session=session)  # it is over
        assert recorder.sessions() == []


async def test_what_is_kept_of_a_request_is_not_the_message_that_it_came_in() -> None:
    async with recording() as (server, _), connect(server, "ada"):
        (session,) = server.sessions.directory
        tape = Tape(session, [], 10, 10_000)
        message = msgspec.json.encode([{"card": {}}, "x" * 100_000])
        values = msgspec.json.decode(message, type=tuple[msgspec.Raw, msgspec.Raw])
        tape.add(0.0, Inbound("pay", JSONArguments(values[:1]), None))
        del values
        ((_, kept),) = tape.entries
        assert isinstance(kept, Inbound)
        assert kept.arguments.values() == [{"card": {}}]
        assert getrefcount(message) == 2  # here, and as the argument


async def test_a_namespace_is_no_part_of_what_is_said() -> None:
    async with recording() as (server, _), connect(server, "ada"):
        (session,) = server.sessions.directory
        tape, format_ = Tape(session, [], 10, 10_000), json_format("/ws")
        for frame in (
            format_.answer(Paid(receipt="1"), 7, "a"),
            format_.event("news", ({"text": b"bytes"},)),
        ):
            tape.add(0.0, Sent(frame, Pushed.QUEUED, format_))
        found = recording_of(tape, server.registry, (0.0, 0.0))
    assert told(found) == [("<", "paid"), ("<", "ack"), ("<", "news")]
    assert [row.re for row in found.rows] == [None, 7, None]


@asynccontextmanager
async def crowd(server: Server, users: str) -> AsyncIterator[list[Client]]:
    """A client of each user, in a room that is sent to together."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connect(server, user)) for user in users]
        for client in clients:
            await client.request(Subscribe(room="news"))
        yield clients


async def test_only_those_asked_for_are_recorded_and_nobody_else_is_touched() -> None:
    async with recording() as (server, recorder), crowd(server, "aabbcccccc") as clients:
        sockets = [session.socket for session in server.sessions.directory]
        before = [socket.push for socket in sockets if isinstance(socket, LiveSocket)]
        recorder.start(user_id="a")
        assert {session.user_id for session in recorder.sessions()} == {"a"}
        for number in range(3):
            server.to("news").emit(News(text=str(number)))
        for client in clients:
            for number in range(3):
                await client.expect(News, text=str(number))
        found = recorder.recordings(user_id="a")
        assert [told(each) for each in found] == [[("<", "news")] * 3] * 2
        for socket, push in zip(sockets, before, strict=True):
            assert isinstance(socket, LiveSocket)
            recorded = socket.state.user_id == "a"
            assert (socket.handler is server.sessions) is not recorded
            assert (socket.push == push) is not recorded
            assert (socket.line is None) is recorded
        recorder.stop()
        assert recorder.recordings() == []
        for socket, push in zip(sockets, before, strict=True):
            assert isinstance(socket, LiveSocket)
            assert socket.handler is server.sessions
            assert socket.push == push == socket.state.push
            assert socket.line is socket.state.line is not None


async def test_a_recording_goes_on_when_the_client_comes_back() -> None:
    async with recording() as (server, recorder):
        recorder.start(user_id="ada")
        async with connect(server, "ada") as client:
            await client.request(Subscribe(room="news"))
            client.drop()
            server.to("news").emit(News(text="missed"))
            await client.reconnect()
            assert client.recovered
            found = await only(recorder)
    assert told(found)[-5:] == [
        ("-", "(closed)"),
        ("-", "(connected)"),
        ("<", "connected"),
        ("<", "news"),
        ("<", "recovered"),
    ]
    assert found.rows[-4].data == {"resumed": True}


async def test_what_took_the_place_of_an_event_that_was_never_sent_is_told() -> None:
    async with recording() as (server, recorder), connect(server, "ada") as client:
        await client.request(Subscribe(room="news"))
        recorder.start()
        client.pause()
        for now in range(3):
            await settle()  # the first is on its way, and waits there
            server.to("news").emit(Price(now=now))
        found = await only(recorder)
        client.resume_reading()
    assert [row.fate for row in found.rows if row.event == "price"] == ["", "", "conflated"]


async def test_what_a_client_acknowledges_with_is_not_kept() -> None:
    async with recording() as (server, recorder), connect(server, "ada") as client:
        recorder.start()
        (session,) = server.sessions.directory

        async def ask() -> None:
            assert await server.emit_with_ack(session, Confirm(), str) == "my-secret"

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            client.acknowledge(await client.expect(Confirm), "my-secret")
        found = await only(recorder)
        assert told(found) == [("<", "confirm"), (">", "ack")]
        assert found.rows[0].id == found.rows[1].re == 1
        assert found.rows[1].hidden


async def test_an_incident_keeps_what_led_to_it(tmp_path: Path) -> None:
    directory = tmp_path / "incidents"
    async with recording(directory=directory, kept=2) as (server, recorder):
        recorder.start()
        ids: list[str] = []
        server.incidents.append(lambda ctx, id_: ids.append(id_))
        async with connect(server, "ada") as client:
            await client.request(Pay(card=Card(number="4111")))
            await client.request(Fail())
            await settle()
            (incident,) = ids
            found = recorder.incident(incident)
            assert found is not None
            assert (found.header.incident, found.header.event) == (incident, "fail")
            assert told(found)[-3:] == [(">", "fail"), ("<", "error"), ("<", "ack")]
            assert incident in found.rows[-1].data["error"]["message"]
            file = directory / f"incident-{incident}.jsonl"
            assert decode(file.read_bytes()) == found
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            for _ in range(3):  # so many in a moment that not all are kept
                await client.request(Fail())
                await settle()
            assert len(list(directory.iterdir())) == 2
            assert [recorder.incident(id_) is not None for id_ in ids] == [True, True, False, False]
            assert isinstance(server.clock, VirtualClock)
            await server.clock.advance(10)
            await client.request(Fail())
            await settle()
            kept = sorted(each.name for each in directory.iterdir())
            assert kept == sorted(f"incident-{id_}.jsonl" for id_ in (ids[1], ids[4]))


async def test_a_disk_that_is_full_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    async with recording(directory=tmp_path / "file") as (server, recorder):
        recorder.start()
        async with connect(server, "ada") as client:
            await client.request(Fail())
            await settle()
    assert "its recording is not written" in caplog.text


def test_of_a_recording_that_cannot_be_written_nothing_is_left(tmp_path: Path) -> None:
    file = tmp_path / "incident-1.jsonl"
    file.mkdir()
    with pytest.raises(OSError, match="directory"):
        _write(file, b"content", 1)
    assert list(tmp_path.iterdir()) == [file]


async def test_sessions_beyond_the_bound_are_not_recorded() -> None:
    async with recording(max_sessions=1) as (server, recorder):
        recorder.start()
        async with connect(server, "ada"), connect(server, "bob"):
            assert [session.user_id for session in recorder.sessions()] == ["ada"]


async def test_what_is_recorded_no_longer_is_forgotten_also_of_sessions_that_are_over() -> None:
    async with recording(kept=2) as (server, recorder):
        recorder.start()
        for user in ("ada", "bob", "eve"):
            async with connect(server, user):
                pass
        kept = [each.header.user for each in recorder.recordings()]
        assert kept == ["bob", "eve"]  # the latest
        recorder.stop(user_id="bob")
        async with connect(server, "bob"):
            recorder.stop(user_id="bob")
            assert len(recorder.sessions()) == 1  # everybody's are recorded
        recorder.stop(user_id="bob")
        assert [each.header.user for each in recorder.recordings()] == ["eve"]
        recorder.stop()
        assert recorder.recordings() == []


def test_rows_say_bytes() -> None:
    row = Row(0.0, ">", "pay", {"a": b"\x00", "b": [b"x"], 1: None})
    found = Recording(RECORDING.header, [row])
    assert decode(encode(found)).rows[0].data == {"a": b"\x00", "b": [b"x"], "1": None}


RECORDING = decode(
    b'{"format":"lbproto-recording","version":1,"session":"s","user":"u","wire":"plain-json",'
    b'"began":"2026-01-20T12:00:00Z","from a later version":1}\n'
    b'{"at":0,"way":">","event":"fail","id":1}\n\n'
)
