"""What a host does with its users' credits, and what of it users are told."""

from __future__ import annotations

from typing import Self

import pytest

from lbproto import InsufficientCredits, InvalidRequest, Plugin, Server, SystemClock
from lbproto.backends.memory import MemoryBroker, MemoryPubSub
from lbproto.credits.accounts import Credits
from lbproto.ledger.account import Kind
from lbproto.ledger.memory import MemoryLedger
from lbproto.testing import START, VirtualClock, settle
from tests.core.harness import Sent, connected, make_server, running

pytestmark = pytest.mark.anyio

NOW = int(START * 1000)


@pytest.fixture
def store() -> MemoryLedger:
    return MemoryLedger()


async def test_grants_and_adjustments_are_told(store: MemoryLedger) -> None:
    async with running(credits=store) as server:
        client = await connected(server)
        movement = await server.credits.grant("ada", 10, "a gift", transaction_id="t1")
        assert (movement.version, movement.amount, movement.balance) == (1, 10, 10)
        told = {
            "newBalance": 10,
            "reason": "a gift",
            "transactionId": "t1",
            "timestamp": "2026-01-20T12:00:00.000Z",
        }
        balance = {"lifetimeSpent": 0, "applicationId": "default"}
        assert client.take() == [
            Sent("credits_granted", {"amount": 10, **told}),
            Sent(
                "credit_balance_updated",
                {"newBalance": 10, "lifetimeEarned": 10, "version": 1, **balance},
            ),
        ]
        await server.credits.adjust("ada", -3, "a mistake", transaction_id="t2")
        deducted, updated = client.take()
        assert deducted.name == "credits_deducted"
        assert (deducted.data["amount"], deducted.data["action"]) == (3, "a mistake")
        assert updated.data["lifetimeEarned"] == 10
        await server.credits.adjust("ada", 2, "after all")
        granted, _ = client.take()
        assert (granted.name, granted.data["reason"]) == ("credits_granted", "after all")


async def test_the_same_again_is_answered_and_not_told(store: MemoryLedger) -> None:
    async with running(credits=store) as server:
        client = await connected(server)
        first = await server.credits.grant("ada", 10, "a gift", transaction_id="t")
        client.take()
        assert await server.credits.grant("ada", 10, "a gift", transaction_id="t") == first
        assert client.take() == []
        with pytest.raises(InvalidRequest, match="used for something else"):
            await server.credits.grant("ada", 11, "a gift", transaction_id="t")
        await server.credits.grant("ada", 10, "a gift")
        await server.credits.grant("ada", 10, "a gift")
        assert (await server.credits.balance("ada")).balance == 30


async def test_what_cannot_be_is_refused_and_changes_nothing(store: MemoryLedger) -> None:
    async with running(credits=store) as server:
        client = await connected(server)
        for amount in (0, -1, 2**53):
            with pytest.raises(InvalidRequest):
                await server.credits.grant("ada", amount, "a gift")
        with pytest.raises(InvalidRequest):
            await server.credits.grant("ada", 1, "a gift", expires_at=NOW)
        with pytest.raises(InsufficientCredits) as refusal:
            await server.credits.adjust("ada", -1, "a mistake")
        assert (refusal.value.required, refusal.value.available) == (1, 0)
        assert client.take() == []
        assert await server.credits.history("ada") == []


async def test_the_history_is_newest_first_and_by_account(store: MemoryLedger) -> None:
    async with running(credits=store) as server:
        for number in range(1, 6):
            await server.credits.grant("ada", number, f"gift {number}")
        await server.credits.grant("ada", 1, "other", application_id="shop")
        await server.credits.grant("bob", 1, "other")
        history = await server.credits.history("ada")
        assert [each.reason for each in history] == [f"gift {n}" for n in (5, 4, 3, 2, 1)]
        assert [each.version for each in await server.credits.history("ada", limit=2)] == [5, 4]
        older = await server.credits.history("ada", before=4, limit=2)
        assert [each.version for each in older] == [3, 2]
        assert len(await server.credits.history("ada", "shop")) == 1


async def test_what_a_grant_has_left_is_gone_in_time(
    store: MemoryLedger, clock: VirtualClock
) -> None:
    async with running(credits=store, clock=clock) as server:
        await server.credits.grant("ada", 5, "kept", priority=1)
        await server.credits.grant("ada", 7, "for a second", expires_at=NOW + 1_000)
        clock.jump(0.999)
        assert (await server.credits.balance("ada")).balance == 12
        clock.jump(0.001)
        assert (await server.credits.balance("ada")).balance == 5
        newest = (await server.credits.history("ada"))[0]
        assert (newest.kind, newest.amount, newest.at) == (Kind.EXPIRED, -7, NOW + 1_000)


async def test_what_one_node_moves_is_told_on_all(store: MemoryLedger) -> None:
    broker = MemoryBroker()
    async with (
        running(credits=store, pubsub=MemoryPubSub(broker)) as one,
        running(credits=store, pubsub=MemoryPubSub(broker)) as other,
    ):
        clients = [await connected(one), await connected(other)]
        await one.credits.grant("ada", 1, "a gift")
        await settle()
        for client in clients:
            told = [sent.name for sent in client.take()]
            assert told == ["credits_granted", "credit_balance_updated"]


async def test_without_a_server_nobody_is_told(store: MemoryLedger) -> None:
    credits_ = Credits(store, SystemClock())
    await credits_.grant("ada", 1, "a gift")
    async with running(credits=store) as server:  # what another process has given is there
        assert (await server.credits.balance("ada")).balance == 1


async def test_a_store_is_opened_and_closed_with_the_server() -> None:
    states: list[str] = []

    class Noting(MemoryLedger):
        async def __aenter__(self) -> Self:
            states.append("open")
            return self

        async def __aexit__(self, *_: object) -> None:
            states.append("closed")

    async with running(credits=Noting()):
        assert states == ["open"]
    assert states == ["open", "closed"]


def test_the_events_are_declared_where_there_are_credits(store: MemoryLedger) -> None:
    def declared(server: Server) -> set[str]:
        return {name for name in server.registry.emissions if "credit" in name}

    assert declared(make_server(Plugin("p"))) == {"insufficient_credits"}
    assert declared(make_server(credits=store)) == {
        "insufficient_credits",
        "credits_granted",
        "credits_deducted",
        "credit_balance_updated",
    }
