"""Requests with a price: reserved before the handler, settled after it, and told."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from lbproto import (
    Admission,
    Context,
    Event,
    NotFound,
    Plugin,
    RequestError,
    Server,
    UsageError,
)
from lbproto.errors import ErrorCode
from lbproto.events import ErrorEvent
from lbproto.ledger.memory import MemoryLedger
from lbproto.testing import START, settle
from tests.core.harness import FORMATS, Client, Sent, connected, running

pytestmark = pytest.mark.anyio

NOW = int(START * 1000)
TIMESTAMP = "2026-01-20T12:00:00.000Z"


class Work(Event):
    units: int = 1


class Done(Event):
    text: str = ""


class WorkError(ErrorEvent, kw_only=True):
    units: int = 0


class Owned(Event):
    application_id: str = "default"


class Desk:
    """A handler that does as it is told.

    Attributes:
        price: of the request.
        charges: what is charged, one after the other, each with an output of its own.
        first: whether an output comes before anything else.
        failure: raised at the end.
        gate: waited for, before the end.
        served: how often it has run.
    """

    def __init__(self, price: Any = 2) -> None:
        self.price = price
        self.charges: list[int] = []
        self.first = False
        self.failure: Exception | None = None
        self.gate: anyio.Event | None = None
        self.served = 0

    def plugin(self) -> Plugin:
        plugin = Plugin("desk")
        plugin.emits(Done, WorkError)

        @plugin.on(Work, price=self.price)
        async def work(ctx: Context, request: Work) -> Done | None:
            self.served += 1
            if self.first:
                ctx.emit(Done(text="first"))
            for amount in self.charges:
                await ctx.charge(amount)
                ctx.emit(Done(text=str(amount)))
            if self.gate is not None:
                await self.gate.wait()
            if self.failure is not None:
                raise self.failure
            return None if self.charges or self.first else Done()

        @plugin.on(Owned, price=1)
        async def owned(ctx: Context, request: Owned) -> Done:
            return Done()

        return plugin


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def store() -> MemoryLedger:
    return MemoryLedger()


async def client_with(server: Server, amount: int, **options: Any) -> Client:
    """A client of a user who has so many credits."""
    client = await connected(server, **options)
    if amount:
        await server.credits.grant(client.user, amount, "to begin with")
        client.take()
    return client


async def account_of(server: Server, user: str = "ada") -> tuple[int, int]:
    """The balance, and what of it is available."""
    balance = await server.credits.balance(user)
    return balance.balance, balance.available


def deducted(amount: int, balance: int, spent: int, version: int) -> list[Sent]:
    """What is told of it, but for the id."""
    return [
        Sent(
            "credits_deducted",
            {
                "amount": amount,
                "newBalance": balance,
                "action": "work",
                "transactionId": "",
                "timestamp": TIMESTAMP,
            },
        ),
        Sent(
            "credit_balance_updated",
            {
                "newBalance": balance,
                "lifetimeEarned": balance + spent,
                "lifetimeSpent": spent,
                "applicationId": "default",
                "version": version,
            },
        ),
    ]


def blank(sent: list[Sent]) -> list[Sent]:
    """Without the ids that differ each time."""
    return [
        each._replace(data={**each.data, "transactionId": ""})
        if "transactionId" in each.data
        else each
        for each in sent
    ]


async def test_a_request_is_paid_for_and_that_is_told(desk: Desk, store: MemoryLedger) -> None:
    async with running(desk.plugin(), credits=store) as server:
        client = await client_with(server, 10)
        other = await connected(server)
        sent = await client.ask("work")
        assert blank(sent) == [Sent("done", {}), *deducted(2, 8, 2, 2)]
        assert other.take() == sent[1:]  # the user's other sessions too
        again = await client.ask("work")
        ids = {each.data["transactionId"] for each in (sent[1], again[1])}
        assert len(ids) == 2
        assert await account_of(server) == (6, 6)


@pytest.mark.parametrize("format_", FORMATS)
async def test_too_little_is_told_to_the_requester_only(
    desk: Desk, store: MemoryLedger, format_: str
) -> None:
    async with running(desk.plugin(), credits=store) as server:
        client = await client_with(server, 1, format_=FORMATS[format_])
        other = await connected(server)
        sent = await client.ask("work", ack=7)
        told = {"required": 2, "available": 1, "action": "work"}
        assert sent[0]._replace(re=None) == Sent("insufficient_credits", told)
        if format_.startswith("plain"):
            assert sent[0].re == 7
            assert len(sent) == 1
        else:
            message = "2 credits are needed, 1 are available"
            error = {"code": "INSUFFICIENT_CREDITS", "message": message}
            assert sent[1:] == [Sent("ack", {"ok": False, "error": error}, 7)]
        assert other.take() == []
        assert desk.served == 0
        assert await account_of(server) == (1, 1)
        assert len(await server.credits.history("ada")) == 1


async def test_credits_are_set_aside_while_the_handler_runs(
    desk: Desk, store: MemoryLedger
) -> None:
    desk.gate = anyio.Event()
    async with (
        running(desk.plugin(), credits=store) as server,
        anyio.create_task_group() as tasks,
    ):
        client = await client_with(server, 3)
        tasks.start_soon(client.send, "work")
        await settle()
        assert await account_of(server) == (3, 1)
        other = await connected(server)
        (refusal,) = await other.ask("work")
        assert refusal.data == {"required": 2, "available": 1, "action": "work"}
        desk.gate.set()
        await settle()
        assert await account_of(server) == (1, 1)


@pytest.mark.parametrize("failure", [NotFound("nothing there"), ValueError("a bug")])
async def test_a_failure_before_any_output_costs_nothing(
    desk: Desk, store: MemoryLedger, failure: Exception
) -> None:
    desk.failure = failure
    async with running(desk.plugin(), credits=store) as server:
        client = await client_with(server, 3)
        (error,) = await client.ask("work")
        assert error.name == "error"
        assert await account_of(server) == (3, 3)


@pytest.mark.parametrize(
    ("charges", "first", "cost"),
    [([], True, 2), ([1], False, 1), ([1, 4], False, 5), ([0], False, 0), ([1], True, 1)],
)
@pytest.mark.parametrize("fails", [False, True])
async def test_what_was_delivered_is_paid_for(
    desk: Desk, store: MemoryLedger, charges: list[int], first: bool, cost: int, fails: bool
) -> None:
    desk.charges, desk.first = charges, first
    desk.failure = NotFound("no more") if fails else None
    async with running(desk.plugin(), credits=store) as server:
        client = await client_with(server, 10)
        sent = await client.ask("work")
        amounts = [each.data["amount"] for each in sent if each.name == "credits_deducted"]
        assert amounts == ([cost] if cost else [])
        assert await account_of(server) == (10 - cost, 10 - cost)


async def test_what_is_charged_and_not_delivered_is_not_paid_for(store: MemoryLedger) -> None:
    plugin = Plugin("desk")

    @plugin.on(Work, price=5)
    async def work(ctx: Context, request: Work) -> Done:
        await ctx.charge(3)
        raise NotFound("nothing after all")

    async with running(plugin, credits=store) as server:
        client = await client_with(server, 5)
        await client.ask("work")
        assert await account_of(server) == (5, 5)


async def test_a_refusal_that_the_handler_tells_itself_costs_nothing(store: MemoryLedger) -> None:
    plugin = Plugin("desk")
    plugin.emits(WorkError)

    @plugin.on(Work, price=5)
    async def work(ctx: Context, request: Work) -> None:
        ctx.refuse(WorkError(code=ErrorCode.NOT_FOUND, message="none"))

    async with running(plugin, credits=store) as server:
        client = await client_with(server, 5)
        assert [sent.name for sent in await client.ask("work")] == ["work_error"]
        assert await account_of(server) == (5, 5)


async def test_metered_work_stops_when_nothing_is_left(desk: Desk, store: MemoryLedger) -> None:
    desk.charges = [2, 3, 4, 100]
    async with running(desk.plugin(), credits=store) as server:
        client = await client_with(server, 10)
        sent = await client.ask("work", ack=1)
        assert [each.name for each in sent] == [
            "done",
            "ack",  # of the first
            "done",
            "done",
            *("credits_deducted", "credit_balance_updated"),
            "insufficient_credits",
        ]
        assert sent[4].data["amount"] == 9
        told = sent[-1].data
        assert told == {"required": 100, "available": 1, "action": "work"}
        assert await account_of(server) == (1, 1)


async def test_more_is_set_aside_in_portions_of_the_price(store: MemoryLedger) -> None:
    seen: list[tuple[int, int]] = []
    plugin = Plugin("desk")

    @plugin.on(Work, price=10)
    async def work(ctx: Context, request: Work) -> Done:
        for amount in (4, 6, 1, 12, 3):
            await ctx.charge(amount)
            balance = await ctx.credits.balance(ctx.user_id)
            seen.append((balance.balance, balance.available))
        return Done()

    async with running(plugin, credits=store) as server:
        client = await client_with(server, 36)
        await client.ask("work")
        assert seen == [(36, 26), (36, 26), (36, 16), (36, 6), (36, 6)]
        assert await account_of(server) == (10, 10)


async def test_metered_work_without_a_first_reservation(store: MemoryLedger) -> None:
    desk = Desk(price=0)
    desk.charges = [3]
    async with running(desk.plugin(), credits=store) as server:
        client = await client_with(server, 5)
        await client.ask("work")
        assert await account_of(server) == (2, 2)
        sent = await client.ask("work")
        assert [each.name for each in sent] == ["insufficient_credits"]
        assert await account_of(server) == (2, 2)


async def test_a_handler_may_end_by_itself_when_nothing_is_left(store: MemoryLedger) -> None:
    plugin = Plugin("desk")

    @plugin.on(Work, price=2)
    async def work(ctx: Context, request: Work) -> Done:
        done = 0
        try:
            while True:
                await ctx.charge(2)
                done += 1
        except RequestError:
            return Done(text=str(done))

    async with running(plugin, credits=store) as server:
        client = await client_with(server, 7)
        sent = await client.ask("work")
        assert sent[0].data == {"text": "3"}
        assert await account_of(server) == (1, 1)


async def test_without_a_store_there_are_no_credits() -> None:
    plugin = Plugin("p")

    @plugin.on(Work)
    async def work(ctx: Context, request: Work) -> Done:
        with pytest.raises(UsageError, match=r"credits=MemoryLedger\(\)"):
            ctx.credits  # noqa: B018
        with pytest.raises(UsageError, match="only a request with a price is charged"):
            await ctx.charge(1)
        return Done()

    async with running(plugin) as server:
        with pytest.raises(UsageError, match=r"credits=MemoryLedger\(\)"):
            server.credits  # noqa: B018
        client = await connected(server)
        assert await client.ask("work") == [Sent("done", {})]
        assert "credits_deducted" not in server.registry.emissions


async def test_what_is_charged_cannot_be_taken_back(
    desk: Desk, store: MemoryLedger, caplog: pytest.LogCaptureFixture
) -> None:
    desk.charges = [-1]
    async with running(desk.plugin(), credits=store) as server:
        client = await client_with(server, 5)
        (refusal,) = await client.ask("work")
        assert refusal.data["code"] == "INTERNAL"
        assert "charge 0 or more" in caplog.text
        assert await account_of(server) == (5, 5)


# Accounts


async def test_an_application_has_an_account_of_its_own(desk: Desk, store: MemoryLedger) -> None:
    async with running(desk.plugin(), credits=store) as server:
        client = await client_with(server, 5)
        sent = await client.ask("owned")
        assert sent[-1].data["applicationId"] == "default"
        (refusal,) = await client.ask("owned", {"applicationId": "theirs"})
        assert refusal.data["code"] == "UNAUTHORIZED"
        assert await account_of(server) == (4, 4)


async def test_an_application_that_may_be_named(desk: Desk, store: MemoryLedger) -> None:
    async def authorize(identity: Any, application_id: str) -> bool:
        return application_id == "shop"

    admission = Admission(authorize=authorize)
    async with running(desk.plugin(), credits=store, admission=admission) as server:
        client = await connected(server)
        await server.credits.grant("ada", 3, "a gift", application_id="shop")
        client.take()
        sent = await client.ask("owned", {"applicationId": "shop"})
        assert sent[-1].data["applicationId"] == "shop"
        assert (await server.credits.balance("ada", "shop")).balance == 2
        assert (await server.credits.balance("ada")).balance == 0
        assert await client.ask("work") != []  # a request that names none is not asked about
