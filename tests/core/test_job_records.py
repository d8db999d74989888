"""What is recorded of a job, and for how long."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from lbproto import Context, Endpoint, InsufficientCredits, Job
from lbproto.jobs import records
from lbproto.ledger.memory import MemoryLedger
from lbproto.testing import settle
from tests.core.harness import connected
from tests.core.losing import LEASE, RENEWED, died, for_ever, loss, nothing, told
from tests.core.recording import Nodes
from tests.core.working import Dig, DigResponse, Lost, Site, dug, errors, names

pytestmark = pytest.mark.anyio


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


async def test_a_record_takes_no_more_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "_MAX_RECORD_BYTES", 100)
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
