"""What jobs cost: set aside when they begin, settled when they end, however that is."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from random import Random

import anyio
import pytest

from lbproto import Job, LimitExceeded, Server
from lbproto.backends.memory import MemoryStorage
from lbproto.credits.holds import Hold
from lbproto.ledger.memory import MemoryLedger
from lbproto.testing import settle
from tests.core.crediting import Late, account_of, rich
from tests.core.harness import Sent, connected
from tests.core.limiting import clock_of
from tests.core.working import Dig, DigResponse, Lost, Site, dug, errors, names

pytestmark = pytest.mark.anyio


async def send(job: Job[Dig]) -> None:
    await job.send(DigResponse(job_id=job.id, found="something"))


async def test_success_spends_the_price_at_the_end() -> None:
    gate = anyio.Event()

    async def later(job: Job[Dig]) -> None:
        await gate.wait()

    async with Site(later).running(price=5, credits=MemoryLedger()) as server:
        client = await rich(server)
        assert names(await dug(client)) == ["dig_started"]
        assert await account_of(server) == (20, 15)
        gate.set()
        await settle()
        assert names(client.take()) == [
            "dig_closing",
            "dig_completed",
            "credits_deducted",
            "credit_balance_updated",
        ]
        assert await account_of(server) == (15, 15)


def open_holds(server: Server) -> set[Hold]:
    holds = server._parts.holds
    assert holds is not None
    return holds._open


async def test_too_little_begins_nothing() -> None:
    site = Site(send)
    async with site.running(price=50, credits=MemoryLedger()) as server:
        client = await rich(server)
        sent = await dug(client, ack=1)
        assert names(sent) == ["insufficient_credits", "ack"]
        assert sent[1].data["error"]["code"] == "INSUFFICIENT_CREDITS"
        assert site.jobs == []
        assert await account_of(server) == (20, 20)


@pytest.mark.parametrize(("delivers", "cost"), [(False, 0), (True, 5)])
@pytest.mark.parametrize("ends", ["fails", "is cancelled"])
async def test_one_that_does_not_succeed_costs_what_it_has_delivered(
    delivers: bool, cost: int, ends: str
) -> None:
    async def work(job: Job[Dig]) -> None:
        if delivers:
            await send(job)
        if ends == "fails":
            raise LimitExceeded("too deep")
        await anyio.sleep_forever()

    site = Site(work)
    async with site.running(price=5, credits=MemoryLedger()) as server:
        client = await rich(server)
        await dug(client)
        if ends == "is cancelled":
            await client.send("cancel", {"id": site.jobs[0].id})
        await settle()
        assert await account_of(server) == (20 - cost, 20 - cost)
        assert not open_holds(server)


async def test_one_whose_client_goes_while_it_is_recorded_costs_nothing() -> None:
    """That is not interrupted, nothing is waited for from then on, and nobody is told."""
    gate = anyio.Event()

    class Storage(MemoryStorage):
        durable = True

        async def put(self, key: str, value: bytes, *, ttl: float | None = None) -> None:
            if "jobs" in key:
                await gate.wait()
            await super().put(key, value, ttl=ttl)

    site = Site(send)
    options = {"price": 5, "credits": MemoryLedger(), "storage": Storage()}
    async with site.running(**options) as server:
        client = await rich(server)
        await dug(client)
        client.close()
        gate.set()
        await settle()
        assert site.jobs == []
        assert await account_of(server) == (20, 20)


async def test_one_whose_client_goes_while_credits_are_set_aside_costs_nothing() -> None:
    """What is being committed then is committed, and let go of again at once."""
    store = Late()
    site = Site(send)
    async with site.running(price=5, credits=store) as server:
        client = await rich(server)
        store.gate = anyio.Event()
        await dug(client)
        client.close()
        store.gate.set()
        await settle()
        assert site.jobs == []
        assert await account_of(server) == (20, 20)
        assert not open_holds(server)


async def test_credits_that_run_out_end_it_in_mid_stream() -> None:
    async def metered(job: Job[Dig]) -> None:
        while True:
            await job.charge(3)
            await send(job)

    async with Site(metered).running(price=5, credits=MemoryLedger()) as server:
        client = await rich(server)
        sent = await dug(client)
        assert names(sent) == [
            "dig_started",
            *["dig_response"] * 6,
            "credits_deducted",  # what was delivered
            "credit_balance_updated",
            "insufficient_credits",
            "dig_closing",
            "dig_error",
        ]
        assert errors(sent) == ["INSUFFICIENT_CREDITS"]
        assert await account_of(server) == (2, 2)


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_becomes_of_jobs_and_clients_each_ends_once_and_is_paid_once(
    seed: int,
) -> None:
    """250 of them, cancelled, failing, late, their clients lost, back, gone, and taken up."""
    random = Random(seed)  # noqa: S311 - a test's

    async def work(job: Job[Dig]) -> None:
        for _ in range(random.randrange(4)):
            await server.clock.sleep(random.random())
            await job.charge(1)
            await send(job)
        if random.random() < 0.3:
            raise random.choice([LimitExceeded("too deep"), ZeroDivisionError()])
        if random.random() < 0.2:
            await anyio.sleep_forever()

    site = Site(work)
    told: list[list[Sent]] = []
    options = {"price": 2, "timeout": 5.0, "credits": MemoryLedger(), "max_jobs": 40}
    async with site.running(**options) as server:
        clock = clock_of(server)
        await server.credits.grant("ada", 10_000, "a gift")
        watching = await connected(server, max_frames=10**6, max_bytes=10**9)
        for number in range(250):
            client = await connected(server)
            told.append(await dug(client, {"requestId": f"r-{number}"}))
            job = site.jobs[-1]
            await watching.send("attach", {"id": job.id, "after": len(told[-1])})
            choice = random.random()
            if choice < 0.2:
                await client.send("cancel", {"id": job.id})
            elif choice < 0.4:
                client.close()
            elif choice < 0.6:
                await Lost(client).comes_back()
            await clock.advance(random.random() / 2)
        await clock.advance(10)
        told.append(watching.take())
        assert server.statistics().jobs == 0
        balance = await server.credits.balance("ada")
        history = await server.credits.history("ada", limit=1_000)
    assert balance.balance == balance.available == sum(each.amount for each in history)
    paid = Counter(each.transaction_id for each in history)
    assert set(paid.values()) == {1}
    assert 100 < len(paid) <= 251
    assert len(site.jobs) == len(site.unwound) == 250
    ended: set[str] = set()
    for name, data, _ in chain.from_iterable(told):
        if name.startswith("dig"):
            assert data["jobId"] not in ended, "nothing is told after the end"
        if name in ("dig_completed", "dig_error"):
            ended.add(data["jobId"])
    assert ended == {job.id for job in site.jobs}
