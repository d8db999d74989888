"""Transcripts: read by people, compared by tests."""

from __future__ import annotations

import pytest

from lbproto import Context, Event, Plugin
from lbproto.testing import Serve, VirtualClock, Wire, connect
from lbproto.testing.transcript import Entry, Transcript

pytestmark = pytest.mark.anyio


class Visit(Event):
    place: str


class Visited(Event):
    place: str


def visits() -> Plugin:
    plugin = Plugin("visits")

    @plugin.on(Visit)
    async def visit(ctx: Context, request: Visit) -> Visited:
        return Visited(place=request.place)

    return plugin


CONNECTED = (
    '{"userId":"ada","sid":"<sid 1>","timestamp":"2026-01-20T12:00:00.000Z","pid":"<pid 1>"}'
)
AGAIN = CONNECTED.replace("12:00:00", "12:00:03")

PLAIN = f"""\
    0.000 - (connect)
    0.000 < connected  {CONNECTED}  @<offset 1>
    0.000 > visit      {{"place":"rome"}}  #1
    0.000 < visited    {{"place":"rome"}}  re #1  @<offset 2>
    1.500 > (closed)   {{"code":1006,"reason":"lost"}}
    3.000 - (connect)  {{"pid":"<pid 1>","offset":"<offset 2>"}}
    3.000 < connected  {AGAIN}  @<offset 2>
    3.000 < recovered  {{"missed":0}}  @<offset 2>"""

SOCKETIO = PLAIN.replace(
    '{"place":"rome"}  re #1  @<offset 2>',
    '{"place":"rome"}  @<offset 2>\n'
    '    0.000 < ack        {"ok":true,"event":"visited","data":{"place":"rome"}}  re #1',
)


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        ("plain-json", PLAIN),
        ("plain-msgpack", PLAIN),
        ("socketio-json", SOCKETIO),
        ("socketio-msgpack", SOCKETIO),
    ],
)
async def test_a_transcript_is_the_same_whenever_the_same_happens(
    serve: Serve, clock: VirtualClock, wire: Wire, expected: str
) -> None:
    async with serve(visits()) as server, connect(server, "ada", wire=wire) as client:
        await client.request(Visit(place="rome"), Visited)
        await clock.advance(1.5)
        client.drop()
        await clock.advance(1.5)
        await client.reconnect()
        await clock.advance(0)
        assert client.transcript.normalised() == expected
        assert client.sid in str(client.transcript)


def test_stand_ins_are_numbered_as_they_come() -> None:
    transcript = Transcript()
    for job, sid in (("a", "x"), ("b", "x"), ("a", None)):
        data = {"jobs": [{"jobId": job}], "sid": sid}
        transcript.add(Entry(time=0, direction="<", event="done", data=data))
    assert transcript.normalised("jobId").splitlines() == [
        '    0.000 < done  {"jobs":[{"jobId":"<jobId 1>"}],"sid":"<sid 1>"}',
        '    0.000 < done  {"jobs":[{"jobId":"<jobId 2>"}],"sid":"<sid 1>"}',
        '    0.000 < done  {"jobs":[{"jobId":"<jobId 1>"}],"sid":null}',
    ]
    assert [entry.data["jobs"] for entry in transcript] == [
        [{"jobId": "a"}],
        [{"jobId": "b"}],
        [{"jobId": "a"}],
    ]
