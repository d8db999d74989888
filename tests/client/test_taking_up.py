"""What a client takes up again in a new session, from servers that are lost at any moment."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lbproto import Disconnected, Event, Overloaded, RequestError
from lbproto.client import Bounds
from lbproto.frame import frame_of
from lbproto.messages import AnswersLost, Ping, Pong, Subscribed
from tests.client.impostor import CONNECTED, Peer, impostor
from tests.client.kit import (
    Confirmed,
    Dig,
    DigCompleted,
    DigResponse,
    DigStarted,
    Sure,
    connected,
)

pytestmark = pytest.mark.anyio

Script = Callable[[Peer], Awaitable[None]]

HASTY = Bounds(close_timeout=0.02)
STARTED = {"jobId": "j", "where": ""}
COMPLETED = {"jobId": "j", "durationMs": 5}
CLOSED = b"\x88\x02\x03\xf4"  # 1012


def one_after_the_other(*scripts: Script) -> Script:
    """Each connection gets the next of them."""
    left = list(scripts)

    async def script(peer: Peer) -> None:
        assert json.loads(await peer.read())["event"] == "authenticate"
        await peer.event("connected", {**CONNECTED, "pid": f"p{len(left)}", "sid": f"s{len(left)}"})
        await left.pop(0)(peer)

    return script


async def asked(peer: Peer, event: str) -> dict[str, Any]:
    """The next request, which has to be of this name."""
    request: dict[str, Any] = json.loads(await peer.read())
    assert request["event"] == event
    return request


async def closes(peer: Peer) -> None:
    """Close the connection; the client may come back."""
    await peer.raw(CLOSED)


def part(number: int) -> dict[str, Any]:
    return {"jobId": "j", "number": number, "padding": ""}


async def begins(peer: Peer) -> None:
    """Begin a job, tell of two parts, and go."""
    request = await asked(peer, "dig")
    await peer.event("dig_started", STARTED, re=request["id"])
    await peer.event("dig_response", part(0), re=request["id"])
    await peer.event("dig_response", part(1), re=request["id"])
    await closes(peer)


async def goes(peer: Peer) -> None:
    """Go when the client wants to go on."""
    await asked(peer, "attach")
    await closes(peer)


async def stages(script: Script) -> tuple[list[Event], Exception | None]:
    """What a job tells, and how it fails."""
    told: list[Event] = []
    async with (
        impostor(script) as url,
        connected(url, bounds=HASTY) as client,
        client.job(Dig()) as job,
    ):
        try:
            async for stage in job:
                told.append(stage)  # noqa: PERF401 - those before a failure count
        except (Disconnected, RequestError) as error:
            return told, error
    return told, None


async def test_a_job_is_taken_up_from_where_it_was_however_often_that_is_lost() -> None:
    async def goes_on(peer: Peer) -> None:
        request = await asked(peer, "attach")
        assert request["data"] == {"id": "j", "after": 3}
        await peer.event("attached", {"id": "j", "after": 3}, re=request["id"])
        await peer.event("dig_response", part(2), re=request["id"])
        await peer.event("dig_completed", COMPLETED, re=request["id"])

    told, error = await stages(one_after_the_other(begins, goes, goes, goes_on))
    assert error is None
    assert told == [
        DigStarted("j", where=""),
        *(DigResponse("j", number=number, padding="") for number in range(3)),
        DigCompleted("j", duration_ms=5),
    ]


async def test_what_comes_again_is_told_once() -> None:
    async def begins_anew(peer: Peer) -> None:
        request = await asked(peer, "attach")
        await peer.event("attached", {"id": "j", "after": 1}, re=request["id"])
        for number in range(3):
            await peer.event("dig_response", part(number), re=request["id"])
        await peer.event("dig_completed", COMPLETED, re=request["id"])

    told, _ = await stages(one_after_the_other(begins, begins_anew))
    assert [stage.number for stage in told if isinstance(stage, DigResponse)] == [0, 1, 2]


async def test_a_job_that_died_with_its_server_ends_by_what_the_next_says() -> None:
    async def tells(peer: Peer) -> None:
        request = await asked(peer, "attach")
        failure = {"jobId": "j", "code": "OVERLOADED", "message": "restarted", "retryAfter": 1}
        await peer.event("dig_error", failure, re=request["id"])

    told, error = await stages(one_after_the_other(begins, tells))
    assert len(told) == 3
    assert isinstance(error, Overloaded)
    assert (error.message, error.retry_after) == ("restarted", 1)


@pytest.mark.parametrize(
    ("code", "error"), [("NOT_FOUND", Disconnected), ("OVERLOADED", Overloaded)]
)
async def test_one_that_cannot_be_taken_up_is_told(code: str, error: type[Exception]) -> None:
    async def refuses(peer: Peer) -> None:
        request = await asked(peer, "attach")
        refusal = {"code": code, "message": "no", "event": "attach"}
        await peer.event("error", refusal, re=request["id"])

    _, told = await stages(one_after_the_other(begins, refuses))
    assert type(told) is error


async def test_rooms_are_joined_again_however_often_that_is_lost() -> None:
    joined: list[str] = []

    def joins(count: int, then: Script = closes) -> Script:
        async def script(peer: Peer) -> None:
            for _ in range(count):
                request = await asked(peer, "subscribe")
                room = request["data"]["room"]
                joined.append(room)
                told = {"room": room, "subscriberCount": 1}
                await peer.event("subscribed", told, re=request["id"])
            await then(peer)

        return script

    async def stays(peer: Peer) -> None:
        await peer.event("pong", {"timestamp": "done"})

    script = one_after_the_other(joins(2), joins(1), joins(2, stays))
    async with impostor(script) as url, connected(url, bounds=HASTY) as client:
        pongs = client.listen(Pong)
        await client.subscribe("a")
        await client.subscribe("b")
        assert await anext(pongs) == Pong("done")
        assert joined[:3] == ["a", "b", "a"]
        assert sorted(joined[3:]) == ["a", "b"]
        assert client.rooms == {"a", "b"}


async def test_where_answers_are_lost_amid_a_session_rooms_are_joined_and_jobs_taken_up() -> None:
    async def forgets(peer: Peer) -> None:
        room = {"room": "a", "subscriberCount": 1}
        request = await asked(peer, "subscribe")
        await peer.event("subscribed", room, re=request["id"])
        request = await asked(peer, "dig")
        await peer.event("dig_started", STARTED, re=request["id"])
        await peer.event("answers_lost", {})
        again = [json.loads(await peer.read()) for _ in range(2)]
        ids = {request["event"]: request["id"] for request in again}
        assert ids.keys() == {"subscribe", "attach"}
        await peer.event("subscribed", room, re=ids["subscribe"])
        await peer.event("attached", {"id": "j", "after": 1}, re=ids["attach"])
        await peer.event("dig_completed", COMPLETED, re=ids["attach"])

    script = one_after_the_other(forgets)
    async with impostor(script) as url, connected(url, bounds=HASTY) as client:
        heard = client.listen(AnswersLost, Subscribed)
        await client.subscribe("a")
        async with client.job(Dig()) as job:
            assert await job.result() == DigCompleted("j", duration_ms=5)
        told = [type(await anext(heard)) for _ in range(3)]
        assert told == [Subscribed, AnswersLost, Subscribed]


async def test_where_answers_are_lost_all_that_was_missed_comes_first() -> None:
    """The answer to a request may be in that: nothing is asked for again before."""

    async def subscribes(peer: Peer) -> None:
        request = await asked(peer, "subscribe")
        await peer.event("subscribed", {"room": "a", "subscriberCount": 1}, re=request["id"])
        await closes(peer)

    async def goes_on(peer: Peer) -> None:
        await peer.event("answers_lost", {})
        await peer.event("sure", {"what": "to go on"}, id=7)
        assert json.loads(await peer.read())["re"] == 7
        await peer.event("recovered", {"missed": 1})
        request = await asked(peer, "subscribe")
        await peer.event("subscribed", {"room": "a", "subscriberCount": 2}, re=request["id"])

    async def answer(sure: Sure) -> Confirmed:
        return Confirmed(yes=sure.what == "to go on")

    left = [subscribes, goes_on]

    async def script(peer: Peer) -> None:
        await asked(peer, "authenticate")
        await peer.event("connected", CONNECTED)
        await left.pop(0)(peer)

    async with impostor(script) as url, connected(url, bounds=HASTY) as client:
        client.acknowledge(Sure, answer)
        heard = client.listen(Subscribed)
        await client.subscribe("a")
        assert [(await anext(heard)).subscriber_count for _ in range(2)] == [1, 2]


async def test_what_was_not_sent_is_sent_over_the_next_connection() -> None:
    """The connection is closed as the request is made, and nobody has noticed."""

    async def goes_at_once(peer: Peer) -> None:
        await asked(peer, "ping")
        await peer.raw(frame_of(b'{"event": "pong", "data": {"timestamp": "one"}}').data + CLOSED)

    async def answers(peer: Peer) -> None:
        request = await asked(peer, "ping")
        await peer.event("pong", {"timestamp": "two"}, re=request["id"])

    script = one_after_the_other(goes_at_once, answers)
    async with impostor(script) as url, connected(url, bounds=HASTY) as client:
        pongs = client.listen(Pong)
        await client.emit(Ping())
        assert await anext(pongs) == Pong("one")
        assert await client.request(Ping(), Pong) == Pong("two")
