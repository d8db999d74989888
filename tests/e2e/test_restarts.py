"""Jobs whose server is killed: their clients come back by themselves, and are told of the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from lbproto.ledger.account import Account
from lbproto.ledger.sqlite import SQLiteLedger
from lbproto.testing.ledger import Book
from tests.e2e.clients import PlainClient
from tests.e2e.crediting import AHEAD
from tests.e2e.node import NodeClient
from tests.e2e.restarting import LEDGER, PRICE, STORAGE
from tests.ledger.servers import Valkey
from tests.serving import ServerProcess, free_port, serving

pytestmark = pytest.mark.anyio

APP = "tests.e2e.restarting:app"
LONG = {"chunks": 100_000, "size": 10, "pause": 0.005}
SHORT = {"chunks": 2, "size": 10}
AHEAD_SECONDS = 61  # longer than a reservation lives, and the lease of a node

Environment = Callable[[str, str], None]


@pytest.fixture(params=["sqlite", "valkey"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where the server keeps its records."""
    if request.param == "sqlite":
        yield str(tmp_path / "storage.db")
    else:
        server = Valkey()
        yield server.url
        server.stop()


@asynccontextmanager
async def reconnected(server: ServerProcess, user: str) -> AsyncIterator[PlainClient]:
    """A plain client that has lost its server."""
    async with PlainClient.connecting(server, user, close_timeout=0.2) as client:
        await client.until("connected")
        yield client


def ends(told: list[tuple[str, Any]], id_: str) -> list[tuple[str, Any]]:
    """The terminal events of a job, among all that a client was told."""
    names = ("stream_completed", "stream_error")
    return [(name, data) for name, data in told if name in names and data["jobId"] == id_]


def seen(client: NodeClient) -> list[tuple[str, Any]]:
    return [(line["event"], line["args"][0]) for line in client.seen if "event" in line]


async def read(client: PlainClient, until: str) -> list[tuple[str, Any]]:
    told: list[tuple[str, Any]] = []
    while not told or told[-1][0] != until:
        frame = await client.next()
        told.append((frame["event"], frame["data"]))
    return told


@pytest.mark.usefixtures("node")
async def test_jobs_of_a_server_that_is_killed_end_once(
    storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(STORAGE, storage)
    port = free_port()
    with (
        serving(APP, port=port) as server,
        NodeClient.connecting(
            server.http, auth={"token": "token-ada"}, transports=["websocket"]
        ) as stock,
    ):
        stock.event("connected")
        first = stock.call("stream", LONG)["data"]["jobId"]
        async with PlainClient.connecting(server, "bob", close_timeout=0.2) as plain:
            second = (await plain.call("stream", LONG))["data"]["jobId"]
            await plain.until("stream_response")
            server.kill()
        with serving(APP, port=port) as again:
            async with reconnected(again, "bob") as plain:
                told = await read(plain, "stream_error")
                await plain.send("stream", SHORT, id=7)
                told += await read(plain, "stream_completed")
                stock.event("session_lost")
                stock.event("stream_error")
                third = stock.call("stream", SHORT)["data"]["jobId"]
                stock.event("stream_completed")
                stock.call("produced")
    for id_, events in ((first, seen(stock)), (second, told)):
        ((name, data),) = ends(events, id_)
        assert name == "stream_error"
        assert (data["code"], data["retryAfter"]) == ("OVERLOADED", 1)
    assert len(ends(seen(stock), third)) == 1


async def test_what_a_killed_server_had_set_aside_can_be_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credits_ = tmp_path / "credits.db"
    monkeypatch.setenv(STORAGE, str(tmp_path / "storage.db"))
    monkeypatch.setenv(LEDGER, str(credits_))

    async def available() -> int:
        async with SQLiteLedger(credits_) as ledger:
            return (await Book(ledger, Account("bob")).look()).available

    async with SQLiteLedger(credits_) as ledger:
        await Book(ledger, Account("bob")).grant("gift", PRICE)
    with serving(APP) as server:
        async with reconnected(server, "bob") as client:
            id_ = (await client.call("stream", LONG))["data"]["jobId"]
            assert await available() == 0
            server.kill()
    monkeypatch.setenv(AHEAD, str(AHEAD_SECONDS))
    with serving(APP) as server:
        async with reconnected(server, "bob") as client:
            lost = await client.until("stream_error")
            assert (lost["jobId"], lost["code"]) == (id_, "OVERLOADED")
            with anyio.fail_after(60):
                while (answer := await client.call("stream", SHORT))["event"] != "stream_started":
                    assert answer["event"] == "insufficient_credits"
                    await anyio.sleep(0.2)
            await client.until("credit_balance_updated")
    assert await available() == 0
