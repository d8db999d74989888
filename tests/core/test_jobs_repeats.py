"""Jobs whose requests are repeated: begun once, and told of to everybody who asks."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from lbproto import Job
from lbproto.backends.memory import MemoryStorage
from lbproto.testing import VirtualClock, settle
from tests.core.harness import connected
from tests.core.recording import Line
from tests.core.working import Dig, DigResponse, Site, dug, names

pytestmark = pytest.mark.anyio


async def test_a_repeat_joins_the_job_while_it_runs_and_its_outcome_later() -> None:
    gate = anyio.Event()

    async def later(job: Job[Dig]) -> None:
        await job.send(DigResponse(job_id=job.id, found="early"))
        await gate.wait()

    request: dict[str, Any] = {"requestId": "once"}
    site = Site(later)
    async with site.running() as server:
        first, second = await connected(server), await connected(server)
        assert names(await dug(first, request)) == ["dig_started", "dig_response"]
        joined = await dug(second, request, ack=2)
        assert names(joined) == ["dig_started", "ack", "dig_response"]
        gate.set()
        await settle()
        assert names(second.take()) == names(first.take()) == ["dig_closing", "dig_completed"]
        whole = await dug(second, request)
        assert names(whole) == ["dig_started", "dig_response", "dig_closing", "dig_completed"]
    assert len(site.jobs) == 1
    assert {each.data["jobId"] for each in whole} == {site.jobs[0].id}


async def test_a_repeat_that_came_before_the_job_began_follows_it() -> None:
    class Slow(Line):
        async def put_new(self, key: str, value: bytes, *, ttl: float | None = None) -> bool:
            await claimed.wait()
            return await super().put_new(key, value, ttl=ttl)

    claimed, gate, clock = anyio.Event(), anyio.Event(), VirtualClock()

    async def later(job: Job[Dig]) -> None:
        await gate.wait()

    site = Site(later)
    async with site.running(storage=Slow(MemoryStorage(clock)), clock=clock) as server:
        first, second = await connected(server), await connected(server)
        request = {"requestId": "once"}
        async with anyio.create_task_group() as tasks:
            for client in (first, second):
                tasks.start_soon(client.send, "dig", request)
                await settle()
            claimed.set()
            await settle()
            assert names(second.take()) == ["dig_started"]
            first.close()
            await settle()
            gate.set()
        await settle()
        assert names(second.take()) == ["dig_closing", "dig_completed"]


async def test_a_repeat_of_a_job_that_nobody_waited_for_is_not_told_of_it_without_an_end() -> None:
    gate = anyio.Event()

    async def unwinds_slowly(job: Job[Dig]) -> None:
        await job.send(DigResponse(job_id=job.id, found="early"))
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await gate.wait()

    site = Site(unwinds_slowly)
    async with site.running() as server, anyio.create_task_group() as tasks:
        first, second = await connected(server), await connected(server)
        request = {"requestId": "once"}
        await dug(first, request)
        first.close()
        await settle()
        tasks.start_soon(second.send, "dig", request)
        await settle()
        assert second.take() == []
        gate.set()
        await settle()
        (refused,) = second.take()
        assert refused.data["code"] == "OVERLOADED"
        assert refused.data["jobId"] != site.jobs[0].id
