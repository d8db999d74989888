"""Reservations of requests: long work, cancellation, stores that fail, clocks that step."""

from __future__ import annotations

from typing import TypeVar

import anyio
import pytest

from lbproto import Context, Endpoint, Event, InsufficientCredits, NotFound, Plugin, UsageError
from lbproto.credits.accounts import Credits
from lbproto.credits.holds import Holds
from lbproto.ledger.account import Account, Change, Outcome
from lbproto.testing import START, VirtualClock, settle
from tests.core.crediting import Desk, Done, Frail, Late, Work, account_of, names, rich, spent
from tests.core.harness import running

pytestmark = pytest.mark.anyio

T = TypeVar("T")

NOW = int(START * 1000)
ADA = Account("ada")


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def store() -> Frail:
    return Frail()


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


async def test_many_accounts_are_swept_at_once(store: Frail, clock: VirtualClock) -> None:
    async with running(credits=store, clock=clock) as server:
        for number in range(250):
            await server.credits.grant(f"user{number}", 1, "for a second", expires_at=NOW + 1_000)
        await clock.advance(5)
        assert await store.due(NOW + 3_600_000) == []


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


@pytest.mark.parametrize("seconds", [0, 30])
async def test_a_clock_that_is_set_ahead_makes_no_work_free(
    desk: Desk, store: Frail, clock: VirtualClock, seconds: float
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
        await clock.advance(seconds)  # what is kept up finds that it is gone
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


async def test_what_was_charged_before_the_clock_was_set_ahead_is_paid_if_more_cannot_be(
    store: Frail, clock: VirtualClock
) -> None:
    plugin = Plugin("desk")

    @plugin.on(Work, price=5)
    async def work(ctx: Context, request: Work) -> Done:
        await ctx.charge(4)
        clock.set_wall(START + 3_600)
        with pytest.raises(InsufficientCredits):
            await ctx.charge(100)
        return Done()

    async with running(plugin, credits=store, clock=clock) as server:
        client = await rich(server)
        assert names(await client.ask("work"))[0] == "done"
        assert await spent(server) == [4]


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


async def test_nothing_is_charged_when_the_request_is_over(store: Frail) -> None:
    plugin, kept = Plugin("desk"), []

    @plugin.on(Work, price=5)
    async def work(ctx: Context, request: Work) -> Done:
        kept.append(ctx)
        return Done()

    async with running(plugin, credits=store) as server:
        await (await rich(server)).ask("work")
        with pytest.raises(UsageError, match="while it is served"):
            await kept[0].charge(1)
        assert await account_of(server) == (15, 15)


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


async def until_settling(desk: Desk, store: Late | Stuck) -> None:
    """Have the work done, and the store be asked to settle it, which waits for its gate."""
    await settle()
    store.gate = anyio.Event()
    assert desk.gate is not None
    desk.gate.set()
    await settle()


async def test_a_settlement_that_is_cut_off_is_told_all_the_same(desk: Desk) -> None:
    store = Late()
    desk.gate = anyio.Event()
    async with (
        running(desk.plugin(), credits=store) as server,
        anyio.create_task_group() as tasks,
    ):
        client = await rich(server)
        tasks.start_soon(client.send, "work")
        await until_settling(desk, store)
        assert names(client.take()) == ["done"]
        store.gate = None
        tasks.cancel_scope.cancel()
    assert names(client.take()) == ["credits_deducted", "credit_balance_updated"]


async def test_a_settlement_that_is_cut_off_and_fails_is_made_up_for(
    desk: Desk, clock: VirtualClock
) -> None:
    store = Late()
    desk.gate = anyio.Event()
    async with running(desk.plugin(), credits=store, clock=clock) as server:
        client = await rich(server)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.send, "work")
            await until_settling(desk, store)
            store.unreachable = True
            tasks.cancel_scope.cancel()
        assert names(client.take()) == ["done"]
        store.gate, store.unreachable = None, False
        await clock.advance(5)
        assert names(client.take()) == ["credits_deducted", "credit_balance_updated"]


class Stuck(Frail):
    """A store that does nothing before it may."""

    gate: anyio.Event | None = None

    async def transact(
        self, account: Account, transaction_id: str, change: Change[T]
    ) -> Outcome[T]:
        if self.gate is not None:
            await self.gate.wait()
        return await super().transact(account, transaction_id, change)


@pytest.mark.parametrize("request_id", [None, "once"])
async def test_what_is_being_set_aside_when_the_request_is_cut_off_is_let_go_of(
    desk: Desk, request_id: str | None
) -> None:
    store = Late()
    payload = {} if request_id is None else {"requestId": request_id}
    async with running(desk.plugin(), credits=store) as server:
        client = await rich(server)
        async with anyio.create_task_group() as tasks:
            store.gate = anyio.Event()
            tasks.start_soon(client.send, "work", payload)
            await settle()
            store.gate = None
            tasks.cancel_scope.cancel()
        assert desk.served == 0
        assert await account_of(server) == (20, 20)


async def test_a_settlement_that_is_cut_off_and_takes_too_long_is_made_up_for(
    desk: Desk, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lbproto.credits.holds._SETTLE_SECONDS", 0)
    store = Stuck()
    desk.gate = anyio.Event()
    async with running(desk.plugin(), credits=store, clock=clock) as server:
        client = await rich(server)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.send, "work")
            await until_settling(desk, store)
            tasks.cancel_scope.cancel()
        store.gate = None
        await clock.advance(5)
        assert await spent(server) == [5]


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
