"""Every request that asks for an acknowledgement gets exactly one, whatever becomes of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproto import Context, Event, NotFound, Plugin, drop_oldest
from lbproto.wire import WireFormat
from tests.core.harness import FORMATS, Sent, connected, running

pytestmark = pytest.mark.anyio

socketio = pytest.mark.parametrize(
    "format_", [FORMATS["socketio-json"], FORMATS["socketio-msgpack"]], ids=["json", "msgpack"]
)
plain = pytest.mark.parametrize(
    "format_", [FORMATS["plain-json"], FORMATS["plain-msgpack"]], ids=["json", "msgpack"]
)


class Script(Event):
    steps: tuple[str, ...] = ()
    returns: bool = False


class One(Event):
    number: int


def scripted() -> Plugin:
    """Answers as its request says."""
    plugin = Plugin("scripted")

    @plugin.on(Script)
    async def script(ctx: Context, request: Script) -> One | None:
        for number, step in enumerate(request.steps):
            match step:
                case "emit":
                    ctx.emit(One(number=number))
                case "tell":
                    ctx.to(ctx.session.personal_room).emit(One(number=number))
                case "refuse":
                    raise NotFound("no")
                case "fail":
                    raise ZeroDivisionError
        return One(number=-1) if request.returns else None

    return plugin


@socketio
async def test_the_first_event_that_answers_is_the_acknowledgement(format_: WireFormat) -> None:
    async with running(scripted()) as server:
        client = await connected(server, format_=format_)
        assert await client.ask("script", {"steps": ["emit", "emit"], "returns": True}, ack=5) == [
            Sent("one", {"number": 0}),
            Sent("ack", {"ok": True, "event": "one", "data": {"number": 0}}, 5),
            Sent("one", {"number": 1}),
            Sent("one", {"number": -1}),
        ]


@socketio
async def test_an_answer_that_may_be_dropped_is_acknowledged_all_the_same(
    format_: WireFormat,
) -> None:
    plugin = scripted()
    plugin.emits(One, overflow=drop_oldest)
    async with running(plugin) as server:
        client = await connected(server, format_=format_, max_frames=3)
        # The outbox has room for three, so the oldest event has to go, but not what belongs to it.
        sent = await client.ask("script", {"steps": ["emit", "emit", "emit"]}, ack=3)
        assert sent == [
            Sent("ack", {"ok": True, "event": "one", "data": {"number": 0}}, 3),
            Sent("one", {"number": 1}),
            Sent("one", {"number": 2}),
        ]


@socketio
async def test_what_is_told_to_a_room_answers_nobody(format_: WireFormat) -> None:
    async with running(scripted()) as server:
        client = await connected(server, format_=format_)
        assert await client.ask("script", {"steps": ["tell"]}, ack=5) == [
            Sent("one", {"number": 0}),
            Sent("ack", {"ok": True}, 5),
        ]


@socketio
async def test_a_failure_behind_an_answer_is_told_but_the_acknowledgement_stands(
    format_: WireFormat,
) -> None:
    async with running(scripted()) as server:
        client = await connected(server, format_=format_)
        answer, ack, error = await client.ask("script", {"steps": ["emit", "refuse"]}, ack=0)
        assert (answer.name, ack.data["ok"], error.name) == ("one", True, "error")


@plain
async def test_on_plain_websocket_every_answer_says_what_it_answers(format_: WireFormat) -> None:
    async with running(scripted()) as server:
        client = await connected(server, format_=format_)
        assert await client.ask("script", {"steps": ["emit", "tell", "refuse"]}, ack="a7") == [
            Sent("one", {"number": 0}, "a7"),
            Sent("one", {"number": 1}),
            Sent("error", {"code": "NOT_FOUND", "message": "no", "event": "script"}, "a7"),
        ]


@plain
async def test_on_plain_websocket_a_request_without_an_answer_is_acknowledged(
    format_: WireFormat,
) -> None:
    async with running(scripted()) as server:
        client = await connected(server, format_=format_)
        assert await client.ask("script", ack=0) == [Sent("ack", {"ok": True}, 0)]
        assert await client.ask("script") == []


steps = st.lists(st.sampled_from(["emit", "tell", "refuse", "fail"]), max_size=4)


@given(st.sampled_from(list(FORMATS.values())), steps, st.booleans(), st.none() | st.integers(0, 9))
async def test_exactly_one_acknowledgement_whatever_happens(
    format_: WireFormat, steps: list[str], returns: bool, ack: int | None
) -> None:
    async with running(scripted()) as server:
        client = await connected(server, format_=format_)
        sent = await client.ask("script", {"steps": steps, "returns": returns}, ack=ack)
    answers = [each for each in sent if each.re is not None]
    if ack is None:
        assert answers == []
        assert all(each.name != "ack" for each in sent)
    elif format_.answers_acknowledge:
        assert answers
        assert {each.re for each in answers} == {ack}
        assert [each.name for each in answers[1:]].count("ack") == 0
    else:
        (acknowledgement,) = answers
        assert (acknowledgement.name, acknowledgement.re) == ("ack", ack)
        done = steps[
            : next((i for i, s in enumerate(steps) if s in ("refuse", "fail")), len(steps))
        ]
        failed = len(done) < len(steps)
        assert acknowledgement.data["ok"] is ("emit" in done or not failed)
