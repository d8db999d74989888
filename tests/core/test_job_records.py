"""Jobs that end with their node: each session of their user is told, once."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from lbproto import Context, Endpoint, InsufficientCredits, Job
from lbproto.jobs import records
from lbproto.ledger.memory import MemoryLedger
from lbproto.testing import connect, settle
from tests.core.harness import Client, Sent, connected
from tests.core.recording import Nodes
from tests.core.working import (
    Dig,
    DigError,
    DigResponse,
    DigStarted,
    Lost,
    Site,
    dug,
    errors,
    names,
)

pytestmark = pytest.mark.anyio

LEASE = 15.0
RENEWED = 5.0
TOLD = 120.0


async def for_ever(job: Job[Dig]) -> None:
    await anyio.sleep_forever()


async def nothing(job: Job[Dig]) -> None:
    """Dig for nothing."""


async def died(nodes: Nodes, request: Any = None, user: str = "ada") -> str:
    """Have a node die that has a job; its id."""
    site = Site(for_ever)
    async with nodes.running(site, dies=True) as (server, _):
        assert "dig_started" in names(await dug(await connected(server, user), request))
    return site.jobs[0].id


async def told(client: Client) -> list[Sent]:
    await settle()
    return client.take()


def loss(id_: str) -> list[Sent]:
    """What tells of a lost job."""
    error = {
        "jobId": id_,
        "code": "OVERLOADED",
        "message": "The server was restarted: ask again",
        "retryAfter": 1,
    }
    return [Sent("dig_closing", {"jobId": id_}), Sent("dig_error", error)]


async def test_a_job_that_is_lost_is_told_of_when_the_lease_of_its_node_has_ended() -> None:
    nodes = Nodes()
    id_ = await died(nodes)
    async with nodes.running(Site(nothing)) as (server, _):
        client = await connected(server)
        await nodes.clock.advance(LEASE - 0.1)
        assert client.take() == []
        await nodes.clock.advance(1.1)
        assert client.take() == loss(id_)
        await nodes.clock.advance(2 * TOLD)
        assert client.take() == []
        assert names(await dug(client)) == ["dig_started", "dig_closing", "dig_completed"]


async def test_the_other_sessions_of_its_user_are_told_too_for_a_while() -> None:
    nodes = Nodes()
    id_ = await died(nodes)
    await nodes.clock.advance(LEASE)
    async with nodes.running(Site(nothing)) as (server, _):
        first, somebody_else = await connected(server), await connected(server, "eve")
        assert await told(first) == loss(id_)
        await nodes.clock.advance(TOLD - 1)
        assert await told(await connected(server)) == loss(id_)  # and that does not prolong it
        await nodes.clock.advance(1)
        assert await told(await connected(server)) == []
        assert await told(first) == await told(somebody_else) == []


async def test_a_session_that_recovers_is_not_told_again() -> None:
    nodes = Nodes()
    id_ = await died(nodes)
    await nodes.clock.advance(LEASE)
    async with nodes.running(Site(nothing)) as (server, _):
        client = await connected(server)
        assert await told(client) == loss(id_)
        again = await Lost(client).comes_back()
        assert names(await told(again)) == ["connected", "recovered"]


async def test_what_ends_leaves_no_record() -> None:
    nodes = Nodes()
    gate = anyio.Event()

    async def later(job: Job[Dig]) -> None:
        await gate.wait()

    site = Site(later)
    async with nodes.running(site) as (server, _):
        client = await connected(server)
        for _ in range(3):
            await dug(client)
        assert len(nodes.records()) == 3
        await client.ask("cancel", {"id": site.jobs[0].id})
        await settle()
        assert len(nodes.records()) == 2
        gate.set()
        await settle()
        assert nodes.records() == []
        await dug(client, {"depth": "deep"})  # refused before it is a job
        assert nodes.leases() == 1
    assert nodes.leases() == 0


async def test_a_job_is_recorded_before_its_first_event() -> None:
    nodes, seen = Nodes(), list[int]()

    async def look(job: Job[Dig]) -> None:
        seen.append(len(nodes.records()))

    async with nodes.running(Site(look)) as (server, line):
        client = await connected(server)
        put = nodes.storage.put

        async def wait(*arguments: Any, **options: Any) -> None:
            assert client.take() == []
            await put(*arguments, **options)

        line.put = wait  # type: ignore[method-assign]
        assert names(await dug(client)) == ["dig_started", "dig_closing", "dig_completed"]
    assert seen == [1]


async def test_a_node_that_stops_in_order_leaves_only_what_nobody_was_told() -> None:
    nodes, site = Nodes(), Site(for_ever)
    async with nodes.running(site) as (server, _):
        here, away = await connected(server), await connected(server)
        await dug(here)
        await dug(away)
        Lost(away)
        await here.ask("cancel", {"id": site.jobs[0].id})
    assert nodes.leases() == 0
    async with nodes.running(Site(nothing)) as (server, _):
        assert await told(await connected(server)) == loss(site.jobs[1].id)


async def test_whoever_was_told_by_the_node_that_stops_is_not_told_again() -> None:
    nodes, site = Nodes(), Site(for_ever)
    async with nodes.running(site) as (server, _), connect(server, "ada") as client:
        client.emit(Dig())
        await client.expect(DigStarted)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.drain, 0.0)
            assert (await client.expect(DigError)).code == "OVERLOADED"
            await client.expect_closed()
    assert nodes.records() == []


async def test_an_end_that_nobody_was_there_to_read_is_told_elsewhere_when_its_node_stops() -> None:
    """Its result is lost with the session, whose client has gone to another node."""
    nodes, gate = Nodes(), anyio.Event()

    async def later(job: Job[Dig]) -> None:
        await gate.wait()

    site = Site(later)
    async with nodes.running(Site(nothing)) as (successor, _):
        async with nodes.running(site) as (server, _):
            client = await connected(server)
            await dug(client)
            Lost(client)
            gate.set()
            again = await connected(successor)
            await nodes.clock.advance(2 * LEASE)
            assert again.take() == []
        await nodes.clock.advance(LEASE + 1)
        assert again.take() == loss(site.jobs[0].id)


async def test_an_end_that_is_read_later_leaves_no_record() -> None:
    nodes, gate = Nodes(), anyio.Event()

    async def later(job: Job[Dig]) -> None:
        await gate.wait()

    site = Site(later)
    async with nodes.running(site) as (server, _):
        client, other = await connected(server), await connected(server)
        for each in (client, other):
            await dug(each)
        lost, _ = Lost(client), Lost(other)
        gate.set()
        await settle()
        assert len(nodes.records()) == 2
        assert "dig_completed" in names((await lost.comes_back()).take())
        await settle()
        (left,) = nodes.records()
        assert left.endswith(site.jobs[1].id)
        await nodes.clock.advance(1_000)
        assert await nodes.storage.get(left) is None  # the session is over


async def test_jobs_of_nodes_that_live_are_left_alone_until_they_die() -> None:
    nodes, site = Nodes(), Site(for_ever)
    async with nodes.running(Site(nothing)) as (server, _):
        async with nodes.running(site, dies=True) as (other, _):
            await dug(await connected(other))
            client = await connected(server)
            await nodes.clock.advance(1_000)
            assert client.take() == []
        await nodes.clock.advance(2 * LEASE + 1)
        assert client.take() == loss(site.jobs[0].id)


async def test_a_session_that_is_over_is_not_looked_after() -> None:
    nodes = Nodes()
    await died(nodes)
    async with nodes.running(Site(nothing)) as (server, _):
        client = await connected(server)
        await settle()
        client.close()
        await nodes.clock.advance(2 * LEASE)
        assert client.take() == []
        (key,) = nodes.records()
        value = await nodes.storage.get(key)
    assert value is not None
    assert b'"is_told":false' in value


# Taking it up


async def test_whoever_takes_up_a_lost_job_is_told_of_its_failure() -> None:
    nodes = Nodes()
    id_ = await died(nodes)
    async with nodes.running(Site(nothing)) as (server, _):
        client, eve = await connected(server), await connected(server, "eve")
        early = await client.ask("attach", {"id": id_})
        assert early[0].data["code"] == "NOT_FOUND"  # it may run still
        await nodes.clock.advance(LEASE + 1)
        assert client.take() == loss(id_)
        sent = await client.ask("attach", {"id": id_}, ack=5)
        assert sent[0] == loss(id_)[1]
        assert (sent[1].name, sent[1].data["ok"]) == ("ack", False)
        assert sent[1].data["error"]["code"] == "OVERLOADED"
        for wrong in ("another", "../x", f"{id_}/"):
            assert (await client.ask("attach", {"id": wrong}))[0].data["code"] == "NOT_FOUND"
        assert (await eve.ask("attach", {"id": id_}))[0].data["code"] == "NOT_FOUND"


# The storage is out of reach


async def test_jobs_run_without_the_storage(caplog: pytest.LogCaptureFixture) -> None:
    nodes, site = Nodes(), Site(for_ever)
    async with nodes.running(site) as (server, line):
        client = await connected(server)
        await dug(client)
        await settle()
        line.is_cut = True
        assert names(await dug(client)) == ["dig_started"]
        for job in site.jobs:
            assert "dig_error" in names(await client.ask("cancel", {"id": job.id}))
        await nodes.clock.advance(10 * RENEWED)
        assert caplog.text.count("Jobs are not recorded for now: the line is cut") == 1
        assert (len(nodes.records()), nodes.leases()) == (1, 1)
        line.is_cut = False
        await nodes.clock.advance(RENEWED)
        assert (len(nodes.records()), nodes.leases()) == (0, 1)


async def test_a_storage_that_does_not_answer_is_not_waited_for_for_long(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(records, "_PATIENCE", 0.3)  # longer than a busy machine takes
    nodes, begun = Nodes(), anyio.Event()

    async def begin(job: Job[Dig]) -> None:
        begun.set()

    async with nodes.running(Site(begin)) as (server, line):

        async def put(*_: Any, **__: Any) -> None:
            await anyio.sleep_forever()

        line.put = put  # type: ignore[method-assign]
        client = await connected(server)
        assert await dug(client) == []
        with anyio.fail_after(60):
            await begun.wait()
        assert names(await told(client)) == ["dig_started", "dig_closing", "dig_completed"]
    assert caplog.text.count("Jobs are not recorded for now: the storage takes too long") == 1


async def test_a_job_that_ends_while_it_is_being_recorded_leaves_no_record() -> None:
    nodes, site, gate = Nodes(), Site(nothing), anyio.Event()
    async with nodes.running(site) as (server, line):

        async def put(*arguments: Any, **options: Any) -> None:
            await gate.wait()
            await nodes.storage.put(*arguments, **options)

        line.put = put  # type: ignore[method-assign]
        client = await connected(server)
        await dug(client)
        client.close()  # nobody waits for it any more
        await settle()
        assert nodes.records() == []
        gate.set()
        await settle()
        assert (site.jobs, nodes.records()) == ([], [])


async def test_a_job_that_has_ended_before_it_is_recorded_leaves_no_record() -> None:
    nodes, site, gate = Nodes(), Site(nothing), anyio.Event()

    async def busy(ctx: Context, call_next: Endpoint) -> None:
        with anyio.CancelScope(shield=True):
            await gate.wait()
        await call_next(ctx)

    async with nodes.running(site, middleware=[busy]) as (server, _):
        client = await connected(server)
        await dug(client)
        client.close()
        gate.set()
        await settle()
        assert nodes.records() == []


async def test_a_loss_is_told_when_the_storage_is_back() -> None:
    nodes = Nodes()
    id_ = await died(nodes)
    await nodes.clock.advance(LEASE)
    async with nodes.running(Site(nothing)) as (server, line):
        client = await connected(server)
        line.is_cut = True
        await settle()
        line.is_cut = False
        await nodes.clock.advance(RENEWED)
        assert client.take() == loss(id_)


# What is recorded


async def test_a_job_of_days_is_kept_as_long_as_it_runs() -> None:
    nodes = Nodes()
    site = Site(for_ever)
    async with nodes.running(site) as (server, _):
        client = await connected(server)
        await dug(client)
        for _ in range(4):
            nodes.clock.jump(40_000)
            await nodes.clock.advance(RENEWED)
            assert len(nodes.records()) == 1
            assert await nodes.storage.get(nodes.records()[0]) is not None
        await client.ask("cancel", {"id": site.jobs[0].id})
        await settle()
        assert nodes.records() == []


async def test_an_end_that_cannot_be_told_any_more_is_told_by_a_general_error() -> None:
    """The plugin is gone; or the request's own fields, which its failure has, take too much."""
    nodes = Nodes()
    await died(nodes)
    await nodes.clock.advance(LEASE)
    async with nodes.running(Site(nothing)) as (server, _):
        del server.registry.emissions["dig_error"]
        sent = await told(await connected(server))
    assert names(sent) == ["dig_closing", "error"]
    assert (sent[1].data["event"], sent[1].data["code"]) == ("dig", "OVERLOADED")


async def test_a_record_takes_no_more_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "_MOST", 100)
    nodes = Nodes()
    await died(nodes)
    await nodes.clock.advance(LEASE)
    async with nodes.running(Site(nothing)) as (server, _):
        assert names(await told(await connected(server))) == ["error"]


async def test_a_record_that_cannot_be_read_hides_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    nodes = Nodes()
    id_ = await died(nodes)
    (key,) = nodes.records()
    for number, value in enumerate((b"", b"{}", b'{"node":7}', b"\xff")):
        await nodes.storage.put(key.replace(id_, str(number)), value)
    await nodes.clock.advance(LEASE)
    async with nodes.running(Site(nothing)) as (server, _):
        assert await told(await connected(server)) == loss(id_)
    assert caplog.text.count("cannot be read") == 4


@pytest.mark.parametrize("user", ["a/b", "x" * 10_000, "{}", "jobs"])
async def test_any_user(user: str) -> None:
    nodes = Nodes()
    id_ = await died(nodes, user=user)
    assert len(nodes.records()[0]) <= 512
    await nodes.clock.advance(LEASE)
    async with nodes.running(Site(nothing)) as (server, _):
        assert await told(await connected(server, user)) == loss(id_)


async def test_nothing_is_recorded_where_that_would_not_last() -> None:
    site = Site(for_ever)
    async with site.running() as server:
        client = await connected(server)
        await dug(client)
        assert server.storage._folders == {}  # type: ignore[attr-defined]
        assert (await client.ask("attach", {"id": "another"}))[0].data["code"] == "NOT_FOUND"


async def test_one_that_ends_for_want_of_credits_leaves_no_record() -> None:
    async def short(job: Job[Dig]) -> None:
        await job.send(DigResponse(job_id=job.id, found="a bill"))
        raise InsufficientCredits("no credits", required=5, available=1)

    nodes = Nodes()
    async with nodes.running(Site(short), credits=MemoryLedger()) as (server, _):
        assert errors(await dug(await connected(server))) == ["INSUFFICIENT_CREDITS"]
        await settle()
        assert nodes.records() == []
