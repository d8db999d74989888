"""Reservations of requests: repeats and crashes, long work, stores that fail, clocks that step."""

from __future__ import annotations

from typing import TypeVar

import anyio
import pytest

from lbproto import Context, Endpoint, Event, NotFound, Overloaded, Plugin, Server
from lbproto.credits import Credits
from lbproto.holds import Holds
from lbproto.ledger.account import Account, Change, Kind, Outcome
from lbproto.ledger.memory import MemoryLedger
from lbproto.testing import START, VirtualClock, settle
from tests.core.harness import Client, Sent, connected, running

pytestmark = pytest.mark.anyio

T = TypeVar("T")

NOW = int(START * 1000)
ADA = Account("ada")


class Work(Event):
    units: int = 5


class Done(Event):
    pass


class Frail(MemoryLedger):
    """A store that cannot be reached at times, or is not heard of again.

    Attributes:
        unreachable: whether nothing gets through.
        silent: whether what gets through is not answered.
    """

    def __init__(self) -> None:
        super().__init__()
        self.unreachable = False
        self.silent = False

    async def transact(
        self, account: Account, transaction_id: str, change: Change[T]
    ) -> Outcome[T]:
        if self.unreachable:
            raise Overloaded("the store is away")
        outcome = await super().transact(account, transaction_id, change)
        if self.silent:
            raise Overloaded("the store does not answer")
        return outcome


class Desk:
    """Work for 5 credits, as it is told.

    Attributes:
        gate: waited for.
        failure: raised at the end.
        charges: what is charged instead of the price.
    """

    def __init__(self) -> None:
        self.gate: anyio.Event | None = None
        self.failure: Exception | None = None
        self.charges: list[int] = []
        self.served = 0

    def plugin(self) -> Plugin:
        plugin = Plugin("desk")

        @plugin.on(Work, price=5)
        async def work(ctx: Context, request: Work) -> Done:
            self.served += 1
            for amount in self.charges:
                await ctx.charge(amount)
            if self.gate is not None:
                await self.gate.wait()
            if self.failure is not None:
                raise self.failure
            return Done()

        return plugin


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def store() -> Frail:
    return Frail()


async def account_of(server: Server) -> tuple[int, int]:
    """The balance, and what of it is available."""
    balance = await server.credits.balance("ada")
    return balance.balance, balance.available


async def spent(server: Server) -> list[int]:
    """What was deducted, one after the other."""
    history = await server.credits.history("ada")
    return [-each.amount for each in reversed(history) if each.kind is Kind.DEDUCTED]


async def rich(server: Server, amount: int = 20) -> Client:
    """A client of a user with credits."""
    client = await connected(server)
    await server.credits.grant("ada", amount, "a gift", transaction_id="gift")
    client.take()
    return client


def names(sent: list[Sent]) -> list[str]:
    return [each.name for each in sent]


AGAIN = {"requestId": "r1"}


# Repeats


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


# Long work


async def test_what_long_work_has_set_aside_does_not_expire(
    desk: Desk, store: Frail, clock: VirtualClock
) -> None:
    desk.gate = anyio.Event()
    async with (
        running(desk.plugin(), credits=store, clock=clock) as server,
        anyio.create_task_group() as tasks,
    ):
        client = await rich(server)
        tasks.start_soon(client.send, "work")
        await clock.advance(600)
        assert await account_of(server) == (20, 15)
        desk.gate.set()
        await settle()
        assert await spent(server) == [5]


async def test_what_a_dead_node_has_set_aside_expires(
    desk: Desk, store: Frail, clock: VirtualClock
) -> None:
    async with running(desk.plugin(), credits=store, clock=clock) as server:
        await rich(server)
        dead = Holds(Credits(store, clock), clock)  # nobody keeps it up
        await dead.reserve(ADA, 5, "work")
        await clock.advance(59.999)
        assert await account_of(server) == (20, 15)
        await clock.advance(5)
        assert await store.due(NOW + 3_600_000) == []  # found without being asked
        assert await account_of(server) == (20, 20)


async def test_what_expires_of_a_grant_is_told(store: Frail, clock: VirtualClock) -> None:
    async with running(credits=store, clock=clock) as server:
        client = await rich(server)
        await server.credits.grant("ada", 7, "for today", expires_at=NOW + 60_000)
        client.take()
        await clock.advance(65)
        gone, balance = client.take()
        assert gone.name == "credits_deducted"
        assert (gone.data["amount"], gone.data["action"]) == (7, "expired")
        assert balance.data["newBalance"] == 20


async def test_a_clock_that_is_set_ahead_makes_no_work_free(
    desk: Desk, store: Frail, clock: VirtualClock
) -> None:
    desk.gate = anyio.Event()
    async with (
        running(desk.plugin(), credits=store, clock=clock) as server,
        anyio.create_task_group() as tasks,
    ):
        client = await rich(server)
        tasks.start_soon(client.send, "work")
        await settle()
        clock.set_wall(START + 3_600)
        assert await account_of(server) == (20, 20)
        desk.gate.set()
        await settle()
        assert await spent(server) == [5]


async def test_more_is_charged_after_the_clock_was_set_ahead(
    store: Frail, clock: VirtualClock
) -> None:
    plugin = Plugin("desk")

    @plugin.on(Work, price=5)
    async def work(ctx: Context, request: Work) -> Done:
        await ctx.charge(4)
        clock.set_wall(START + 3_600)
        await ctx.charge(4)
        return Done()

    async with running(plugin, credits=store, clock=clock) as server:
        client = await rich(server)
        assert names(await client.ask("work"))[0] == "done"
        assert await spent(server) == [8]


async def test_a_clock_that_was_set_ahead_and_nothing_left_is_logged(
    desk: Desk, store: Frail, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    desk.gate = anyio.Event()
    async with (
        running(desk.plugin(), credits=store, clock=clock) as server,
        anyio.create_task_group() as tasks,
    ):
        client = await rich(server, 5)
        tasks.start_soon(client.send, "work")
        await settle()
        clock.set_wall(START + 3_600)
        await server.credits.adjust("ada", -3, "a mistake")
        desk.gate.set()
        await settle()
        assert await spent(server) == []
        assert "stays unpaid: 5 credits are needed, 2 are available" in caplog.text


# Cancellation


class Cut(Event):
    """An output, then nothing for ever."""

    delivers: bool


def cutting() -> Plugin:
    plugin = Plugin("cut")

    @plugin.on(Cut, price=5)
    async def cut(ctx: Context, request: Cut) -> Done:
        if request.delivers:
            ctx.emit(Done())
        await anyio.sleep_forever()
        return Done()

    return plugin


async def impatient(ctx: Context, call_next: Endpoint) -> None:
    scope = anyio.CancelScope()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_cancel_when_idle, scope)
        with scope:
            await call_next(ctx)


async def _cancel_when_idle(scope: anyio.CancelScope) -> None:
    for _ in range(3):
        await anyio.lowlevel.checkpoint()
    scope.cancel()


@pytest.mark.parametrize("delivers", [True, False])
async def test_cancelled_work_is_paid_for_if_it_delivered(store: Frail, delivers: bool) -> None:
    async with running(cutting(), credits=store, middleware=[impatient]) as server:
        client = await rich(server)
        await client.ask("cut", {"delivers": delivers})
        assert await spent(server) == ([5] if delivers else [])
        assert (await account_of(server))[0] == (await account_of(server))[1]


class Late(Frail):
    """A store that does not answer before it may, though it has committed.

    Attributes:
        gate: waited for.
    """

    gate: anyio.Event | None = None

    async def transact(
        self, account: Account, transaction_id: str, change: Change[T]
    ) -> Outcome[T]:
        outcome = await super().transact(account, transaction_id, change)
        if self.gate is not None:
            await self.gate.wait()
        return outcome


async def test_a_settlement_that_is_cut_off_is_told_all_the_same(desk: Desk) -> None:
    store = Late()
    desk.gate = anyio.Event()
    async with (
        running(desk.plugin(), credits=store) as server,
        anyio.create_task_group() as tasks,
    ):
        client = await rich(server)
        tasks.start_soon(client.send, "work")
        await settle()
        store.gate = anyio.Event()
        desk.gate.set()
        await settle()
        assert names(client.take()) == ["done"]
        store.gate = None
        tasks.cancel_scope.cancel()
    assert names(client.take()) == ["credits_deducted", "credit_balance_updated"]


# Stores that fail


async def test_what_cannot_be_reserved_is_not_served(desk: Desk, store: Frail) -> None:
    async with running(desk.plugin(), credits=store) as server:
        client = await rich(server)
        store.unreachable = True
        (refusal,) = await client.ask("work")
        assert refusal.data["code"] == "OVERLOADED"
        assert desk.served == 0


@pytest.mark.parametrize("how", ["unreachable", "silent"])
@pytest.mark.parametrize("fails", [False, True])
async def test_what_cannot_be_settled_is_settled_later(
    desk: Desk, store: Frail, clock: VirtualClock, how: str, fails: bool
) -> None:
    desk.gate, desk.failure = anyio.Event(), NotFound("nothing") if fails else None
    async with (
        running(desk.plugin(), credits=store, clock=clock) as server,
        anyio.create_task_group() as tasks,
    ):
        client = await rich(server)
        tasks.start_soon(client.send, "work")
        await settle()
        setattr(store, how, True)
        desk.gate.set()
        await clock.advance(20)
        assert names(client.take()) == ["error" if fails else "done"]
        setattr(store, how, False)
        await clock.advance(5)
        told = names(client.take())
        assert told == ([] if fails else ["credits_deducted", "credit_balance_updated"])
        assert await account_of(server) == ((20, 20) if fails else (15, 15))
        await clock.advance(100)
        assert client.take() == []


async def test_a_store_that_fails_otherwise_does_not_stop_the_server(
    store: Frail, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Frail):
        async def due(self, now: int, limit: int = 100) -> list[Account]:
            raise ValueError("a bug")

    async with running(credits=Broken(), clock=clock) as server:
        await clock.advance(10)
        assert caplog.text.count("ValueError: a bug") == 2
        await rich(server)
        assert await account_of(server) == (20, 20)
