"""Requests that carry a `requestId`, repeated on another node: served once all the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from lbproto import (
    InsufficientCredits,
    Internal,
    NotFound,
    Overloaded,
    RequestError,
    Server,
)
from lbproto.backends.memory import MemoryStorage
from lbproto.repeats import claims
from lbproto.testing import VirtualClock, settle
from tests.core.harness import Sent, connected, running
from tests.core.recording import Line
from tests.core.shopping import Shop, bought, buy
from tests.core.working import Site, dug, names

pytestmark = pytest.mark.anyio


class Cluster:
    """Nodes of one shop, that share a storage."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.storage = MemoryStorage(self.clock)
        self.shop = Shop()

    @asynccontextmanager
    async def running(self, *, dies: bool = False) -> AsyncIterator[tuple[Server, Line]]:
        line = Line(self.storage)
        async with running(self.shop.plugin(), storage=line, clock=self.clock) as server:
            yield server, line
            line.is_cut = dies

    def kept(self) -> int:
        return len(self.storage._folders.get("lbproto/requests/", ()))


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


async def test_a_repeat_on_another_node_is_answered_like_the_first(cluster: Cluster) -> None:
    async with cluster.running() as (one, _), cluster.running() as (two, _):
        first, other = await connected(one), await connected(two)
        assert await buy(first) == bought(1)
        assert await buy(other) == bought(1)
        assert await buy(other) == bought(1)
        assert cluster.shop.served == 1
        await cluster.clock.advance(601.0)
        assert await buy(other) == bought(2)


async def test_a_repeat_waits_for_the_node_that_serves_the_first(cluster: Cluster) -> None:
    cluster.shop.gate = anyio.Event()
    async with (
        cluster.running() as (one, _),
        cluster.running() as (two, _),
        anyio.create_task_group() as tasks,
    ):
        first, other = await connected(one), await connected(two)
        tasks.start_soon(buy, first)
        await settle()
        answers: list[list[Sent]] = []

        async def repeat() -> None:
            answers.append(await buy(other))

        tasks.start_soon(repeat)
        await cluster.clock.advance(30.0)
        assert answers == []
        cluster.shop.gate.set()
        await cluster.clock.advance(1.0)
        assert answers == [bought(1)]
        assert cluster.shop.served == 1


async def test_an_id_stands_for_one_request_everywhere(cluster: Cluster) -> None:
    async with cluster.running() as (one, _), cluster.running() as (two, _):
        await buy(await connected(one))
        other = await connected(two)
        for _ in range(2):
            (refused,) = await buy(other, item="coat")
            assert refused.data["code"] == "INVALID_REQUEST"
        assert await buy(other) == bought(1)
        assert cluster.shop.served == 1


@pytest.mark.parametrize(
    "failure", [NotFound("sold out"), InsufficientCredits("a bill", required=5, available=1)]
)
async def test_a_final_refusal_is_remembered_everywhere(
    cluster: Cluster, failure: RequestError
) -> None:
    cluster.shop.failure = failure
    async with cluster.running() as (one, _), cluster.running() as (two, _):
        first = await buy(await connected(one))
        cluster.shop.failure = None
        assert await buy(await connected(two)) == first
        assert cluster.shop.served == 1


async def test_what_may_be_retried_is_served_by_whoever_is_next(cluster: Cluster) -> None:
    cluster.shop.failure = Internal("a flat tyre")
    async with cluster.running() as (one, _), cluster.running() as (two, _):
        await buy(await connected(one))
        assert cluster.kept() == 0
        cluster.shop.failure = None
        assert await buy(await connected(two)) == bought(2)


async def test_the_claim_of_a_node_that_has_died_is_taken_over_once(cluster: Cluster) -> None:
    async with anyio.create_task_group() as tasks, cluster.running(dies=True) as (one, _):
        cluster.shop.gate = anyio.Event()
        client = await connected(one)
        tasks.start_soon(buy, client)
        await settle()
        tasks.cancel_scope.cancel()
    cluster.shop.gate = None
    async with (
        cluster.running() as (two, _),
        cluster.running() as (three, _),
        anyio.create_task_group() as others,
    ):
        answers: list[list[Sent]] = []

        async def repeat(server: Server) -> None:
            answers.append(await buy(await connected(server)))

        others.start_soon(repeat, two)
        others.start_soon(repeat, three)
        await cluster.clock.advance(20.0)
        assert answers == [bought(2), bought(2)]


async def test_what_cannot_be_known_is_refused_and_may_be_retried(cluster: Cluster) -> None:
    async with cluster.running() as (one, line):
        client = await connected(one)
        line.is_cut = True
        (refused,) = await buy(client)
        assert refused.data["code"] == "OVERLOADED"
        line.is_cut = False
        assert await buy(client) == bought(1)


async def test_what_may_be_claimed_keeps_nobody_waiting(cluster: Cluster) -> None:
    async with cluster.running() as (one, line), cluster.running() as (two, _):
        first, other = await connected(one), await connected(two)
        line.loses_answers = True
        (refused,) = await buy(first)
        assert refused.data["code"] == "OVERLOADED"
        assert cluster.kept() == 1
        line.loses_answers = False
        await cluster.clock.advance(6.0)
        assert await buy(other) == bought(1)
        assert await buy(first) == bought(1)


async def test_what_was_claimed_unknown_to_the_node_is_served_by_it(cluster: Cluster) -> None:
    async with cluster.running() as (one, line), cluster.running() as (two, _):
        client = await connected(one)
        line.loses_answers = True
        await buy(client)
        line.loses_answers = False
        assert await buy(client) == bought(1)
        await cluster.clock.advance(6.0)
        assert await buy(await connected(two)) == bought(1)


async def test_what_may_be_claimed_is_given_up_once_the_storage_is_back(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(key: str) -> bool:
        raise Overloaded("the line is cut")

    async with cluster.running() as (one, line):
        client = await connected(one)
        line.loses_answers = True
        await buy(client)
        with monkeypatch.context() as cut:
            cut.setattr(line, "delete", fail)
            await cluster.clock.advance(6.0)
        assert cluster.kept() == 1
        await cluster.clock.advance(5.0)
        assert cluster.kept() == 0


async def test_an_outcome_is_written_once_the_storage_is_back(cluster: Cluster) -> None:
    cluster.shop.gate = anyio.Event()
    async with (
        cluster.running() as (one, line),
        cluster.running() as (two, _),
        anyio.create_task_group() as tasks,
    ):
        first = await connected(one)
        tasks.start_soon(buy, first)
        await settle()
        line.is_cut = True
        cluster.shop.gate.set()
        await settle()
        line.is_cut = False
        await cluster.clock.advance(5.0)
        assert await buy(await connected(two)) == bought(1)


async def test_what_is_written_late_undoes_nothing_that_was_served_since(cluster: Cluster) -> None:
    cluster.shop.gate, cluster.shop.failure = anyio.Event(), Internal("a flat tyre")
    async with (
        cluster.running() as (one, line),
        cluster.running() as (two, _),
        anyio.create_task_group() as tasks,
    ):
        client = await connected(one)
        tasks.start_soon(buy, client)
        await settle()
        line.is_cut = True
        cluster.shop.gate.set()
        await settle()
        line.is_cut, cluster.shop.failure = False, None
        (refused,) = await buy(await connected(one))
        assert refused.data["code"] == "OVERLOADED"
        await cluster.clock.advance(5.0)
        assert await buy(await connected(one)) == bought(2)
        await cluster.clock.advance(5.0)
        assert await buy(await connected(two)) == bought(2)


async def test_a_record_takes_no_more_than_it_may(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "_MAX_RECORD_BYTES", 100)
    async with cluster.running() as (one, _), cluster.running() as (two, _):
        await buy(await connected(one))
        (refused,) = await buy(await connected(two))
        assert refused.data["code"] == "LIMIT_EXCEEDED"
        assert cluster.shop.served == 1


async def test_an_answer_whose_plugin_is_gone_is_not_kept(cluster: Cluster) -> None:
    async with cluster.running() as (one, _), cluster.running() as (two, _):
        await buy(await connected(one))
        del two.registry.emissions["priced"]
        (refused,) = await buy(await connected(two))
        assert refused.data["code"] == "LIMIT_EXCEEDED"


async def test_what_is_too_large_to_keep_is_not_done_twice(cluster: Cluster) -> None:
    cluster.shop.text = "x" * 600_000
    async with cluster.running() as (one, _), cluster.running() as (two, _):
        await buy(await connected(one, max_bytes=10**7))
        (refused,) = await buy(await connected(two))
        assert refused.data["code"] == "LIMIT_EXCEEDED"
        assert cluster.shop.served == 1


async def test_a_job_is_done_once_and_its_events_are_those_of_the_first() -> None:
    clock, site = VirtualClock(), Site(_nothing)
    storage = MemoryStorage(clock)
    async with (
        site.running(storage=Line(storage), clock=clock) as one,
        site.running(storage=Line(storage), clock=clock) as two,
    ):
        first = await dug(await connected(one), {"depth": 1, "requestId": "r1"})
        assert names(first) == ["dig_started", "dig_closing", "dig_completed"]
        assert await dug(await connected(two), {"depth": 1, "requestId": "r1"}) == first
        assert len(site.jobs) == 1


async def test_of_a_job_that_has_failed_a_repeat_tells_the_same_end() -> None:
    clock, site = VirtualClock(), Site(_failing)
    storage = MemoryStorage(clock)
    async with (
        site.running(storage=Line(storage), clock=clock) as one,
        site.running(storage=Line(storage), clock=clock) as two,
    ):
        request = {"depth": 1, "requestId": "r1"}
        first = await dug(await connected(one), request)
        assert names(first) == ["dig_started", "dig_closing", "dig_error"]
        assert await dug(await connected(one), request) == first
        assert await dug(await connected(two), request) == first
        assert len(site.jobs) == 1


async def _nothing(_: object) -> None: ...


async def _failing(_: object) -> None:
    raise NotFound("There is nothing here")
