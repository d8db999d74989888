"""Requests with a price and a `requestId`: paid for once, on any node and after a crash."""

from __future__ import annotations

import anyio
import pytest

from lbproto import NotFound, Overloaded
from lbproto.testing import VirtualClock, settle
from tests.core.crediting import Desk, Frail, account_of, names, rich, spent
from tests.core.harness import connected, running

pytestmark = pytest.mark.anyio

AGAIN = {"requestId": "r1"}


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def store() -> Frail:
    return Frail()


async def test_a_repeat_is_not_charged(desk: Desk, store: Frail) -> None:
    async with running(desk.plugin(), credits=store) as server:
        client = await rich(server)
        await client.ask("work", AGAIN)
        assert names(await client.ask("work", AGAIN)) == ["done"]
        assert await spent(server) == [5]


async def test_a_retry_after_a_crash_does_not_pay_twice(desk: Desk, store: Frail) -> None:
    async with running(desk.plugin(), credits=store) as server:
        await (await rich(server)).ask("work", AGAIN)
    async with running(desk.plugin(), credits=store) as server:  # which remembers no request
        client = await rich(server)
        assert names(await client.ask("work", AGAIN)) == ["done"]
        assert desk.served == 2
        assert await spent(server) == [5]
        await client.ask("work", {"requestId": "r2"})
        assert await spent(server) == [5, 5]


@pytest.mark.parametrize("late", [0.001, 0.0])
async def test_what_was_paid_counts_for_ten_minutes(
    desk: Desk, store: Frail, clock: VirtualClock, late: float
) -> None:
    async with running(desk.plugin(), credits=store, clock=clock) as server:
        await (await rich(server)).ask("work", AGAIN)
    clock.jump(600 + late)
    async with running(desk.plugin(), credits=store, clock=clock) as server:
        await (await rich(server)).ask("work", AGAIN)
        assert await spent(server) == ([5, 5] if late else [5])


async def test_an_id_that_was_given_to_another_request_is_charged(desk: Desk, store: Frail) -> None:
    async with running(desk.plugin(), credits=store) as server:
        await (await rich(server)).ask("work", {**AGAIN, "units": 1})
    async with running(desk.plugin(), credits=store) as server:
        await (await rich(server)).ask("work", {**AGAIN, "units": 2})
        assert await spent(server) == [5, 5]


async def test_a_retry_takes_up_what_a_dead_node_has_set_aside(desk: Desk, store: Frail) -> None:
    desk.gate = anyio.Event()
    async with (
        running(desk.plugin(), credits=store) as dead,
        running(desk.plugin(), credits=store) as server,
        anyio.create_task_group() as tasks,
    ):
        first = await rich(dead, 5)
        tasks.start_soon(first.send, "work", AGAIN)
        await settle()
        second = await rich(server, 5)
        tasks.start_soon(second.send, "work", AGAIN)
        await settle()
        assert desk.served == 2
        assert await account_of(server) == (5, 0)  # and yet neither is refused
        desk.gate.set()
        await settle()
        assert await spent(server) == [5]
        told = names(first.take()) + names(second.take())  # by whichever was first
        assert sorted(told) == ["credit_balance_updated", "credits_deducted", "done", "done"]


async def test_of_two_nodes_at_the_same_request_one_may_fail(desk: Desk, store: Frail) -> None:
    desk.gate, desk.failure = anyio.Event(), NotFound("nothing")
    slow = Desk()
    slow.gate = anyio.Event()
    async with (
        running(desk.plugin(), credits=store) as one,
        running(slow.plugin(), credits=store) as other,
        anyio.create_task_group() as tasks,
    ):
        for server in (one, other):
            client = await rich(server)
            tasks.start_soon(client.send, "work", AGAIN)
            await settle()
        desk.gate.set()
        await settle()
        assert await account_of(other) == (20, 20)
        slow.gate.set()
        await settle()
        assert await spent(other) == [5]  # the work was done


async def test_two_nodes_that_measure_the_same_request_differently_charge_it_once(
    desk: Desk, store: Frail
) -> None:
    other_desk = Desk()
    desk.charges, other_desk.charges = [3], [4]
    async with (
        running(desk.plugin(), credits=store) as one,
        running(other_desk.plugin(), credits=store) as other,
        anyio.create_task_group() as tasks,
    ):
        for each, server in ((desk, one), (other_desk, other)):
            each.gate = anyio.Event()
            client = await rich(server)
            tasks.start_soon(client.send, "work", AGAIN)
            await settle()
        for each in (desk, other_desk):
            assert each.gate is not None
            each.gate.set()
            await settle()
        assert await spent(other) == [3]
        assert await account_of(other) == (17, 17)


async def test_after_a_failure_that_may_be_retried_it_is_charged_once(
    desk: Desk, store: Frail
) -> None:
    desk.failure = Overloaded("later")
    async with running(desk.plugin(), credits=store) as server:
        client = await rich(server)
        for _ in range(3):
            await client.ask("work", AGAIN)
        assert await account_of(server) == (20, 20)
        desk.failure = None
        await client.ask("work", AGAIN)
        assert desk.served == 4
        assert await spent(server) == [5]


async def test_a_request_is_not_tried_for_ever(desk: Desk, store: Frail) -> None:
    desk.failure = Overloaded("later")
    async with running(desk.plugin(), credits=store) as server:
        client = await rich(server)
        for _ in range(100):
            (refusal,) = await client.ask("work", AGAIN)
            assert refusal.data["code"] == "OVERLOADED"
        (refusal,) = await client.ask("work", AGAIN)
        assert refusal.data["code"] == "LIMIT_EXCEEDED"
        assert "another requestId" in refusal.data["message"]


async def test_who_had_too_little_may_ask_again_with_more(desk: Desk, store: Frail) -> None:
    async with running(desk.plugin(), credits=store) as server:
        client = await connected(server)
        for _ in range(2):
            assert names(await client.ask("work", AGAIN)) == ["insufficient_credits"]
        await server.credits.grant("ada", 5, "bought")
        client.take()
        assert names(await client.ask("work", AGAIN))[0] == "done"
        assert await spent(server) == [5]


async def test_of_metered_work_that_is_repeated_only_the_rest_is_paid(
    desk: Desk, store: Frail
) -> None:
    desk.charges = [3, 4]
    async with running(desk.plugin(), credits=store) as server:
        await (await rich(server)).ask("work", AGAIN)
        assert await spent(server) == [7]
    desk.charges = [3, 4, 2]
    for _ in range(2):
        async with running(desk.plugin(), credits=store) as server:
            await (await rich(server)).ask("work", AGAIN)
            assert await spent(server) == [7, 2]
