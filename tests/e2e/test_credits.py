"""Credits through real servers: spent by many at once, and by one that is killed meanwhile."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from websockets.exceptions import ConnectionClosed

from lbproto.ledger.sqlite import SQLiteLedger
from tests.e2e.clients import PlainClient
from tests.e2e.crediting import AHEAD, SPENDERS, STORE
from tests.ledger.servers import Postgres, Valkey
from tests.serving import ServerProcess, serving

pytestmark = pytest.mark.anyio

APP = "tests.e2e.crediting:app"
ROUNDS = 20
REQUESTS = 10_000
SECONDS = 120
AHEAD_SECONDS = 61  # longer than a reservation lives


@pytest.fixture(params=["sqlite", "valkey", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where the server keeps accounts."""
    if request.param == "sqlite":
        yield f"sqlite:{tmp_path / 'credits.db'}"
    else:
        server = Valkey() if request.param == "valkey" else Postgres()
        yield server.url
        server.stop()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def set_(store: str, ahead: float = 0) -> None:
        monkeypatch.setenv(STORE, store)
        monkeypatch.setenv(AHEAD, str(ahead))

    return set_


@asynccontextmanager
async def clients(server: ServerProcess, *names: str) -> AsyncIterator[list[PlainClient]]:
    async with AsyncExitStack() as stack:
        opened = [
            # Whoever has not read all that was told has no ear for the end of it.
            await stack.enter_async_context(PlainClient.connecting(server, name, close_timeout=0.2))
            for name in names
        ]
        for client in opened:
            await client.until("connected")
        yield opened


# Many


async def spend(client: PlainClient, numbers: range, seen: Counter[str]) -> None:
    """Ask for all at once, and count how that is answered."""
    for number in numbers:
        await client.send("spend", {"number": number}, id=number)
    left = set(numbers)
    while left:
        frame = await client.next()
        if frame.get("re") in left:
            left.remove(frame["re"])
            seen[frame["event"]] += 1


async def test_many_spend_one_account_to_zero(environment: Callable[..., None], store: str) -> None:
    environment(store)
    each = 2  # and all are told of each spent credit
    with serving(APP) as server:
        async with clients(server, *["ada"] * (SPENDERS + 1)) as (watcher, *spenders):
            spent = 0
            for round_ in range(ROUNDS):
                amount = 50 + round_ * 13 % 60  # of 128 that are asked for
                await watcher.call("fill", {"amount": amount})
                seen: Counter[str] = Counter()
                with anyio.fail_after(SECONDS):
                    async with anyio.create_task_group() as tasks:
                        for client in spenders:
                            tasks.start_soon(spend, client, range(1, each + 1), seen)
                spent += amount
                assert seen == {
                    "spent": amount,
                    "insufficient_credits": SPENDERS * each - amount,
                }
                balance = (await watcher.call("credits_balance"))["data"]
                assert (balance["balance"], balance["available"]) == (0, 0)
                assert balance["lifetimeSpent"] == balance["lifetimeEarned"] == spent
            entries = await history(watcher)
            assert Counter(entry["kind"] for entry in entries) == {
                "granted": ROUNDS,
                "deducted": spent,
            }
            assert sum(entry["amount"] for entry in entries) == 0


async def history(client: PlainClient) -> list[dict[str, Any]]:
    """All movements, newest first."""
    entries: list[dict[str, Any]] = []
    cursor = None
    while True:
        request = {"limit": 500} | ({} if cursor is None else {"cursor": cursor})
        page = (await client.call("credits_history", request))["data"]
        entries += page["entries"]
        cursor = page["nextCursor"]
        if cursor is None:
            return entries


# Killed


async def flood(
    client: PlainClient, count: int, told: list[Any], on_told: Callable[[], None]
) -> None:
    """Ask for all at once, and note every movement until the connection is gone."""

    async def ask() -> None:
        try:
            for number in range(count):
                await client.send("spend", {"number": number})
        except ConnectionClosed:
            pass

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        try:
            async for message in client.websocket:
                frame = json.loads(message)
                if frame["event"] == "credits_deducted":
                    told.append(frame["data"])
                    on_told()
        except ConnectionClosed:
            pass
        tasks.cancel_scope.cancel()


async def set_aside(file: Path) -> int:
    """On how many accounts there is something that has expired once the clock is ahead."""
    async with SQLiteLedger(file) as ledger:
        return len(await ledger.due(int((time.time() + AHEAD_SECONDS) * 1000), REQUESTS))


async def expiry(file: Path) -> None:
    """Wait until all has expired that has to."""
    with anyio.fail_after(SECONDS):
        while await set_aside(file):  # noqa: ASYNC110 - another process lets it expire
            await anyio.sleep(0.2)


@pytest.mark.parametrize("kill_after", [REQUESTS // 10, REQUESTS // 2])
async def test_nothing_is_lost_that_a_client_was_told_of(
    environment: Callable[..., None], tmp_path: Path, kill_after: int
) -> None:
    environment(f"sqlite:{tmp_path / 'credits.db'}")
    names = [f"user{number}" for number in range(16)]
    told: dict[str, list[Any]] = {name: [] for name in names}
    with serving(APP) as server:

        def kill() -> None:
            if sum(map(len, told.values())) >= kill_after:
                server.kill()

        async with clients(server, "ada", *names) as (hanging, *opened):
            for client in (hanging, *opened):
                await client.call("fill", {"amount": REQUESTS})
            await hanging.send("hang")
            with anyio.fail_after(SECONDS):
                async with anyio.create_task_group() as tasks:
                    for name, client in zip(names, opened, strict=True):
                        tasks.start_soon(flood, client, REQUESTS // 16, told[name], kill)
        assert not server.running
    count = sum(map(len, told.values()))
    assert kill_after <= count < REQUESTS
    assert await set_aside(tmp_path / "credits.db") > 0

    environment(f"sqlite:{tmp_path / 'credits.db'}", ahead=AHEAD_SECONDS)
    with serving(APP) as server:
        await expiry(tmp_path / "credits.db")  # it looks after that without being asked
        async with clients(server, "ada", *names) as (hung, *opened):
            balance = (await hung.call("credits_balance"))["data"]
            assert balance["balance"] == balance["available"] == REQUESTS
            for name, client in zip(names, opened, strict=True):
                entries = {entry["transactionId"]: entry for entry in await history(client)}
                for movement in told[name]:
                    entry = entries[movement["transactionId"]]
                    assert entry["amount"] == -movement["amount"]
                    assert entry["balance"] == movement["newBalance"]
                    assert entry["timestamp"] == movement["timestamp"]
                balance = (await client.call("credits_balance"))["data"]
                assert balance["balance"] == balance["available"]
                assert balance["balance"] == sum(entry["amount"] for entry in entries.values())
                assert balance["balance"] == REQUESTS - balance["lifetimeSpent"]
                assert balance["lifetimeSpent"] == len(entries) - 1 >= len(told[name])
                assert (await client.call("spend", {"number": 0}))["event"] == "spent"
