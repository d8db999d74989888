"""Jobs that end with their node: each session of their user is told, once."""

from __future__ import annotations

import anyio
import pytest

from lbproto import Job
from lbproto.testing import connect, settle
from tests.core.harness import connected
from tests.core.losing import LEASE, TOLD, died, for_ever, loss, nothing, told
from tests.core.recording import Nodes
from tests.core.working import Dig, DigError, DigStarted, Lost, Site, dug, names

pytestmark = pytest.mark.anyio


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
