"""Jobs whose storage is out of reach: they run all the same."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from lbproto import Job
from lbproto.jobs import records
from lbproto.testing import settle
from tests.core.harness import connected
from tests.core.losing import LEASE, RENEWED, died, for_ever, loss, nothing, told
from tests.core.recording import Nodes
from tests.core.working import Dig, Site, dug, names

pytestmark = pytest.mark.anyio


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
    monkeypatch.setattr(records, "_WRITE_TIMEOUT", 0.3)  # longer than a busy machine takes
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
