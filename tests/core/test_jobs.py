"""Jobs: told in order, ended once, whatever becomes of their handlers and their clients."""

from __future__ import annotations

import anyio
import pytest

from lbproto import Job, LimitExceeded, Recovery, ServerStatistics
from lbproto.testing import connect, serve, settle
from tests.core.harness import Sent, connected, make_server
from tests.core.limiting import clock_of
from tests.core.working import (
    Dig,
    DigError,
    DigProgress,
    DigResponse,
    DigStarted,
    Lost,
    Site,
    dug,
    errors,
    names,
)

pytestmark = pytest.mark.anyio


async def nothing(job: Job[Dig]) -> None:
    """Dig for nothing."""


async def for_ever(job: Job[Dig]) -> None:
    await anyio.sleep_forever()


async def three(job: Job[Dig]) -> None:
    """Three finds."""
    for number in range(job.request.depth):
        job.progress(DigProgress(job_id=job.id, pct=100 * number / job.request.depth))
        await job.send(DigResponse(job_id=job.id, found=str(number)))


def jobs_of(statistics: ServerStatistics) -> int:
    return statistics.jobs


async def test_a_job_from_its_start_to_its_end() -> None:
    site = Site(three)
    async with site.running() as server:
        client = await connected(server)
        sent = await dug(client, {"depth": 2}, ack=7)
        assert jobs_of(server.statistics()) == 0
    id_ = site.jobs[0].id
    started = {"jobId": id_, "depth": 2}
    assert sent == [
        Sent("dig_started", started),
        Sent("ack", {"ok": True, "event": "dig_started", "data": started}, 7),
        Sent("dig_progress", {"jobId": id_, "pct": 0}),
        Sent("dig_response", {"jobId": id_, "found": "0"}),
        Sent("dig_response", {"jobId": id_, "found": "1"}),
        Sent("dig_closing", {"jobId": id_}),
        Sent("dig_completed", {"jobId": id_, "durationMs": 0}),
    ]


async def test_the_session_goes_on_meanwhile() -> None:
    site = Site(for_ever)
    async with site.running() as server:
        client = await connected(server)
        assert names(await dug(client)) == ["dig_started"]
        assert names(await dug(client)) == ["dig_started"]
        assert names(await client.ask("ping")) == ["pong"]
        assert jobs_of(server.statistics()) == 2
        assert len({job.id for job in site.jobs}) == 2


@pytest.mark.parametrize(
    ("failure", "code"),
    [(LimitExceeded("too deep"), "LIMIT_EXCEEDED"), (ZeroDivisionError(), "INTERNAL")],
    ids=["refused", "broken"],
)
async def test_a_handler_that_fails(failure: Exception, code: str) -> None:
    async def fail(job: Job[Dig]) -> None:
        raise failure

    async with Site(fail).running() as server:
        client = await connected(server)
        sent = await dug(client, ack=1)
    assert names(sent) == ["dig_started", "ack", "dig_closing", "dig_error"]
    assert errors(sent) == [code]


async def test_a_payload_that_does_not_fit_begins_nothing() -> None:
    site = Site(nothing)
    async with site.running() as server:
        client = await connected(server)
        sent = await dug(client, {"depth": "deep"}, ack=1)
    assert names(sent) == ["validation_error", "ack"]
    assert sent[1].data["ok"] is False
    assert site.jobs == []


async def test_a_handler_that_confuses_its_stages_fails() -> None:
    async def confuse(job: Job[Dig]) -> None:
        await job.send(DigProgress(job_id=job.id, pct=1))

    async with Site(confuse).running() as server:
        sent = await dug(await connected(server))
    assert names(sent) == ["dig_started", "dig_closing", "dig_error"]


# Cancelling


async def test_cancelled_it_ends_at_once_and_is_told_nothing_more() -> None:
    """Also where its handler does not unwind, and goes on sending."""
    released = anyio.Event()

    async def stubborn(job: Job[Dig]) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await job.send(DigResponse(job_id=job.id, found="too late"))
                job.progress(DigProgress(job_id=job.id, pct=99))
                await released.wait()

    site = Site(stubborn)
    async with site.running() as server:
        client = await connected(server)
        await dug(client)
        sent = await client.ask("cancel", {"id": site.jobs[0].id}, ack=4)
        assert names(sent) == ["dig_closing", "dig_error", "ack"]
        assert errors(sent) == ["CANCELLED"]
        assert sent[2].data == {"ok": True}
        await settle()
        assert client.take() == []
        assert site.unwound == []
        assert jobs_of(server.statistics()) == 1  # as long as it is not over it counts
        released.set()
        await settle()
        assert site.unwound == [site.jobs[0].id]
        assert client.take() == []
        assert jobs_of(server.statistics()) == 0


@pytest.mark.parametrize("event", ["cancel", "attach"])
async def test_what_is_not_there_cannot_be_had(event: str) -> None:
    site = Site(for_ever)
    async with site.running() as server:
        ada, eve = await connected(server, "ada"), await connected(server, "eve")
        await dug(ada)
        id_ = site.jobs[0].id
        for client, asked in ((eve, id_), (ada, "another")):
            assert (await client.ask(event, {"id": asked}))[0].data["code"] == "NOT_FOUND"
        await ada.send("cancel", {"id": id_})
        ada.take()
        assert (await ada.ask(event, {"id": id_}))[0].data["code"] == "NOT_FOUND"
        for wrong in ({}, {"id": ""}, {"id": "x" * 129}, {"id": 5}):
            assert (await ada.ask(event, wrong))[0].name == "validation_error"


async def test_one_that_takes_too_long() -> None:
    site = Site(for_ever)
    async with site.running(timeout=30.0) as server:
        client = await connected(server)
        await dug(client)
        await clock_of(server).advance(29.9)
        assert client.take() == []
        await clock_of(server).advance(0.1)
        sent = client.take()
    assert errors(sent) == ["TIMEOUT"]
    assert site.unwound == [site.jobs[0].id]


async def test_a_user_has_so_many_at_a_time() -> None:
    site = Site(for_ever)
    async with site.running(max_jobs=2) as server:
        client, other = await connected(server), await connected(server)
        for each in (client, other):
            assert names(await dug(each)) == ["dig_started"]
        sent = await dug(client, ack=1)
        assert names(sent) == ["dig_error", "ack"]
        assert errors(sent) == ["OVERLOADED"]
        assert sent[0].data["retryAfter"] == 1
        assert sent[0].data["jobId"] not in {job.id for job in site.jobs}
        assert names(await dug(await connected(server, "eve"))) == ["dig_started"]
        await client.send("cancel", {"id": site.jobs[0].id})
        await settle()
        client.take()
        assert names(await dug(client)) == ["dig_started"]


# Sessions that come and go


async def test_what_a_client_misses_comes_when_it_resumes() -> None:
    gate = anyio.Event()

    async def later(job: Job[Dig]) -> None:
        await gate.wait()
        await three(job)

    site = Site(later)
    async with site.running() as server:
        client = await connected(server)
        await dug(client)
        lost = Lost(client)
        gate.set()
        await settle()
        assert site.unwound == [site.jobs[0].id]
        again = await lost.comes_back()
        assert names(again.take()) == [
            "connected",
            "dig_progress",
            *["dig_response"] * 3,
            "dig_closing",
            "dig_completed",
            "recovered",
        ]


async def test_nobody_waits_for_it_any_more() -> None:
    """Its session is lost beyond the window, or has left: the engine is stopped."""
    site = Site(for_ever)
    async with site.running(recovery=Recovery(window=120, grace=15)) as server:
        lost, left = await connected(server), await connected(server)
        for client in (lost, left):
            await dug(client)
        left.close()
        await settle()
        assert site.unwound == [site.jobs[1].id]
        lost.close("transport close")
        await clock_of(server).advance(119)
        assert len(site.unwound) == 1
        await clock_of(server).advance(1)
        assert len(site.unwound) == 2
        assert jobs_of(server.statistics()) == 0


async def test_one_that_is_away_is_waited_for_once_it_misses_too_much() -> None:
    sent: list[int] = []

    async def much(job: Job[Dig]) -> None:
        await gate.wait()
        for number in range(30):
            await job.send(DigResponse(job_id=job.id, found="x" * 100_000))
            sent.append(number)

    gate, site = anyio.Event(), Site(much)
    async with site.running() as server:
        client = await connected(server)
        await dug(client)
        lost = Lost(client)
        gate.set()
        await settle()
        assert len(sent) == 10  # and an eleventh that it waits with
        again = await lost.comes_back()
        await settle()
        assert len(sent) == 30
        assert names(again.take()).count("dig_response") == 30


async def test_one_that_stays_away_ends_the_wait() -> None:
    async def much(job: Job[Dig]) -> None:
        await gate.wait()
        while True:
            await job.send(DigResponse(job_id=job.id, found="x" * 100_000))

    gate, site = anyio.Event(), Site(much)
    async with site.running() as server:
        client = await connected(server)
        await dug(client)
        Lost(client)
        gate.set()
        await settle()
        assert site.unwound == []
        await clock_of(server).advance(120)
        assert site.unwound == [site.jobs[0].id]


async def test_another_session_takes_it_up() -> None:
    gate = anyio.Event()

    async def later(job: Job[Dig]) -> None:
        await job.send(DigResponse(job_id=job.id, found="early"))
        await gate.wait()
        await job.send(DigResponse(job_id=job.id, found="late"))

    site = Site(later)
    async with site.running() as server:
        first, second = await connected(server), await connected(server)
        await dug(first)
        id_ = site.jobs[0].id
        taken = await second.ask("attach", {"id": id_, "after": 1}, ack=3)
        assert taken == [
            Sent("attached", {"id": id_, "after": 1}),
            Sent("ack", {"ok": True, "event": "attached", "data": {"id": id_, "after": 1}}, 3),
            Sent("dig_response", {"jobId": id_, "found": "early"}),
        ]
        beyond = await (third := await connected(server)).ask("attach", {"id": id_, "after": 99})
        assert beyond == [Sent("attached", {"id": id_, "after": 2})]
        first.close()  # it goes on for the others
        gate.set()
        await settle()
        for client in (second, third):
            assert names(client.take()) == ["dig_response", "dig_closing", "dig_completed"]


async def test_while_a_server_drains() -> None:
    site = Site(for_ever)
    async with site.running() as server:
        client = await connected(server)
        await dug(client)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.drain, 10.0)
            await settle()
            sent = await dug(client)
            assert errors(sent) == ["OVERLOADED"]
            assert sent[0].data["retryAfter"] == 10


async def test_a_job_ends_when_its_connections_turn_to_close_comes() -> None:
    """And says so before: its client is not left waiting for an end."""
    site = Site(for_ever)
    async with serve(site.plugin()) as server, connect(server, "ada") as client:
        client.emit(Dig())
        await client.expect(DigStarted)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.drain, 0.0)
            error = await client.expect(DigError)
            assert (error.code, error.job_id) == ("OVERLOADED", site.jobs[0].id)
            await client.expect_closed()
        assert site.unwound == [site.jobs[0].id]


async def test_a_server_that_stops_ends_its_jobs() -> None:
    site = Site(for_ever)
    server = make_server(site.plugin())
    async with server.lifespan():
        client = await connected(server)
        await dug(client)
    assert site.unwound == [site.jobs[0].id]
    assert jobs_of(server.statistics()) == 0


def test_the_event_that_fails_says_which_job() -> None:
    assert DigError.own_fields() == ["job_id"]
