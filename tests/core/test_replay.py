"""A recording is played to a server in virtual time, and what comes of it is compared."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from lbproto import Context, Event, Plugin, Server, StaticTokens, UsageError
from lbproto.ledger.memory import MemoryLedger
from lbproto.messages import Subscribe
from lbproto.recorder import (
    BadRecording,
    Recorder,
    Recording,
    Replayed,
    decode,
    encode,
    in_virtual_time,
    replay,
)
from lbproto.testing import VirtualClock, Wire, connect, serve, settle
from tests.core.test_recorder import WIRES

pytestmark = pytest.mark.anyio


class Add(Event):
    number: int


class Sum(Event):
    total: int


class Buy(Event):
    pass


class Bought(Event):
    pass


class Sure(Event):
    pass


class Remind(Event):
    seconds: float


class Reminded(Event):
    pass


def adding(limit: int = 10) -> Plugin:
    """Adds up, and has a fault: above `limit` it fails."""
    plugin = Plugin("adding")
    totals: dict[str, int] = {}
    plugin.emits(Sure)

    @plugin.room("sums", announce=False)
    async def sums(ctx: Context) -> None: ...

    @plugin.on(Add)
    async def add(ctx: Context, request: Add) -> Sum:
        total = totals[ctx.user_id] = totals.get(ctx.user_id, 0) + request.number
        if total > limit:
            raise ArithmeticError(total)
        ctx.to("sums").emit(Sum(total=total))
        return Sum(total=total)

    @plugin.on(Remind)
    async def remind(ctx: Context, request: Remind) -> Reminded:
        await ctx.clock.sleep(request.seconds)
        return Reminded()

    return plugin


@asynccontextmanager
async def replaying(recording: Recording, *plugins: Plugin) -> AsyncIterator[Replayed]:
    original = Server(plugins, auth=StaticTokens({"secret": "ada"}))
    server = in_virtual_time(original)
    async with server.lifespan():
        yield await replay(decode(encode(recording)), server)


async def record(wire: Wire = "socketio-json") -> Recording:
    """A client adds up until it fails, is away for a while, and waits."""
    async with serve(adding()) as server:
        recorder = Recorder(server)
        recorder.start()
        async with connect(server, "ada", wire=wire) as client:
            await client.request(Subscribe(room="sums"))
            for number in (4, 5, 6):
                await client.request(Add(number=number))
            client.emit({"event": "add", "data": {"number": "one"}})
            client.emit({"event": "no_such_event", "data": 1})
            await settle()
            client.drop()
            assert isinstance(server.clock, VirtualClock)
            await server.clock.advance(3)
            await client.reconnect()
            await client.request(Remind(seconds=60), timeout=60)
        (found,) = recorder.recordings()
        return found


@pytest.mark.parametrize("wire", WIRES)
async def test_the_same_comes_of_it_on_every_wire(wire: Wire) -> None:
    async with replaying(await record(wire), adding()) as replayed:
        assert replayed.same, replayed
        failures = [step.code for step in replayed.steps if step.event == "error"]
        assert failures == ["INTERNAL"]
        assert len(replayed.steps) > 8


async def test_a_fault_that_is_mended_is_seen() -> None:
    async with replaying(await record(), adding(limit=100)) as replayed:
        assert not replayed.same
        changed = [
            (step.sign, step.event, step.code) for step in replayed.steps if step.sign != "="
        ]
        assert ("-", "error", "INTERNAL") in changed
        assert ("+", "sum", "") in changed


async def test_the_middle_of_a_session_has_its_rooms() -> None:
    async with serve(adding()) as server:
        recorder = Recorder(server)
        async with connect(server, "ada") as client:
            await client.request(Subscribe(room="sums"))
            recorder.start()
            await client.request(Add(number=1))
            await settle()
            (found,) = recorder.recordings()
    async with replaying(found, adding()) as replayed:
        assert replayed.same, replayed
        assert [step.event for step in replayed.steps] == ["sum", "sum", "ack"]


async def test_questions_are_answered_in_their_places() -> None:
    def asking() -> Plugin:
        plugin = Plugin("asking")
        plugin.emits(Sure)

        @plugin.on(Buy, price=1)
        async def buy(ctx: Context, request: Buy) -> Bought:
            await ctx.emit_with_ack(Sure(), dict)
            return Bought()

        return plugin

    async with serve(asking(), credits=MemoryLedger()) as server:
        await server.credits.grant("ada", 5, "welcome", transaction_id="welcome")
        recorder = Recorder(server)
        recorder.start()
        async with connect(server, "ada") as client:
            for _ in range(2):
                client.emit(Buy())
                client.acknowledge(await client.expect(Sure), {})
                await client.expect(Bought)
            (found,) = recorder.recordings()
    original = Server([asking()], auth=StaticTokens({"s": "a"}), credits=MemoryLedger())
    server = in_virtual_time(original)
    async with server.lifespan():
        replayed = await replay(found, server)
    bought = [step.sign for step in replayed.steps if step.event == "bought"]
    assert bought == ["=", "="]


async def test_one_without_a_name_is_not_let_in() -> None:
    found = await record()
    found.header.user = ""
    with pytest.raises(UsageError, match="is not let in: no token"):
        async with replaying(found, adding()):
            pass


HEADER = b'{"format":"lbproto-recording","version":1,"session":"s","user":"u","wire":"plain-json",'


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "this is not a recording: "),
        (b"\xff\xfe", "this is not a recording: "),
        (b'{"format":"other"}', "this is not a recording: Object missing required field"),
        (
            HEADER.replace(b"lbproto-recording", b"other") + b'"began":""}',
            'this is not a recording: its format is not "lbproto-recording"',
        ),
        (HEADER.replace(b":1,", b":2,") + b'"began":""}', "version 2 of recordings is not known"),
        (HEADER + b'"began":""}\n{"at":0,"way":"?","event":"x"}', "line 2: Invalid enum value '?'"),
        (HEADER + b'"began":""}\n{"at":1e9,"way":">","event":"x"}', "line 2: Expected `float` <="),
        (HEADER + b'"began":""}\n\n{"at":0,', "line 3: Input data was truncated"),
        (
            HEADER + b'"began":""}\n{"at":0,"way":">","event":"x","data":' + b"[" * 100_000,
            "line 2: ",
        ),
        (
            HEADER + b'"began":""}\n{"at":0,"way":">","event":"x","data":{"$bytes":"!"}}',
            "line 2: ",
        ),
        (b"x" * (64 * 1024 * 1024 + 1), "a recording has 67108864 bytes at most"),
    ],
)
def test_what_is_no_recording_is_told(content: bytes, why: str) -> None:
    with pytest.raises(BadRecording) as told:
        decode(content)
    assert why in str(told.value)


async def test_a_recording_of_anything_is_played_to_its_end() -> None:
    rows = b"".join(
        b'\n{"at":%b,"way":"%b","event":"%b","data":%b,"id":%b,"re":9}' % row
        for row in [
            (b"-5", b"<", b"x", b"{}", b"1"),
            (b"1e3", b">", b"ack", b"1", b"null"),
            (b"0", b">", b"", b"null", b'"a"'),
            (b"0", b"-", b"(connected)", b"null", b"null"),
            (b"0", b">", b"ping", b'[{"a":[]}]', b"1"),
            (b"0", b"-", b"(closed)", b"7", b"null"),
            (b"0", b">", b"ping", b"{}", b"2"),
        ]
    )
    found = decode(HEADER + b'"began":"never","rooms":["nowhere"]}' + rows)
    async with replaying(found, adding()) as replayed:
        assert not replayed.same
