"""Each example of the migration guide, served as it is read, and asked by the same stock clients.

Where the two sides of a pair differ for a client, both are told here, as the guide tells them.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
import httpx
import pytest
import socketio
from anyio import to_thread
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.examples.stock import SECONDS, Client, connected
from tests.examples.talks import THE_SAME, Talk
from tests.examples.test_examples import EXAMPLES
from tests.ledger.servers import Valkey
from tests.serving import ServerProcess, serving

pytestmark = pytest.mark.anyio

MIGRATION = EXAMPLES / "migration"
GUIDE = EXAMPLES.parent / "docs" / "how-to" / "migrate.md"
SIDES = ("before", "after")


@pytest.fixture
def anyio_backend() -> str:
    """The clients are asyncio's."""
    return "asyncio"


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    valkey = Valkey(appendonly="no")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REDIS_URL", valkey.url)
        yield valkey
    valkey.stop()


@pytest.fixture(scope="module")
def server(valkey: Valkey) -> Iterator[ServerProcess]:
    with serving("tests.examples.migration_host:app") as server:
        yield server
        assert "Traceback" not in server.log


OTHER_NAMESPACES = {"namespaces": ("/", "/market", "/chat"), "raw": ("/", "/any")}
AUTOMATIC = {"emitting": 1, "scaling": 1, "whole": 1, "background": 1, "fiddle": 1, "presence": 2}


def connecting(
    server: ServerProcess, side: str, name: str
) -> AbstractAsyncContextManager[list[Client]]:
    """Alice and bob, at one side of a pair."""
    typed = side == "after" and name != "raw"
    return connected(
        server.http,
        f"/{side}/{name}",
        *("alice", "bob"),
        namespaces=OTHER_NAMESPACES.get(name, ("/",)),
        automatic=AUTOMATIC.get(name, 0) if typed else None,
    )


async def views(server: ServerProcess, name: str, talk: Talk) -> list[Any]:
    """What alice and bob have seen, on each side."""
    found = []
    for side in SIDES:
        async with connecting(server, side, name) as clients:
            await talk(*clients)
            found.append([list(client.seen) for client in clients])
    return found


@pytest.mark.parametrize("name", THE_SAME)
async def test_clients_are_told_the_same(server: ServerProcess, name: str) -> None:
    before, after = await views(server, name, THE_SAME[name])
    assert before == after
    assert before[0]


async def differing(server: ServerProcess, name: str, talk: Talk) -> tuple[Any, Any]:
    """What alice has seen, on each side."""
    (before, _), (after, _) = await views(server, name, talk)
    return before, after


async def test_a_payload_that_does_not_fit(server: ServerProcess) -> None:
    async def talk(alice: Client, bob: Client) -> None:
        await alice.emit("my_event", {"data": 5})
        await alice.until("validation_error" if alice.resumable else "my_response")

    before, after = await differing(server, "events", talk)
    assert before == [("my_response", {"data": 5})]
    refusal = {
        "code": "INVALID_REQUEST",
        "message": "Expected `str`, got `int` - at `$.data`",
        "event": "my_event",
    }
    assert after == [("validation_error", refusal)]


async def test_acknowledgements(server: ServerProcess) -> None:
    async def talk(alice: Client, bob: Client) -> None:
        for symbol in ("ACME", "NONE"):
            alice.seen.append(await alice.call("order", {"symbol": symbol}))

    before, after = await differing(server, "acknowledging", talk)
    assert before == [("OK", 123), ("ERROR", "There is no such symbol")]
    placed = {"number": 123}
    refusal = {"code": "NOT_FOUND", "message": "There is no such symbol"}
    assert after == [
        ("order_placed", placed),
        {"ok": True, "event": "order_placed", "data": placed},
        ("error", {**refusal, "event": "order"}),
        {"ok": False, "error": refusal},
    ]


async def test_who_may_not_connect(server: ServerProcess) -> None:
    told: list[Any] = []
    for side in SIDES:
        for user in ("alice", "mallory"):
            client = Client(["/"])
            try:
                await client.connect(server.http, f"/{side}/connecting", user)
            except socketio.exceptions.ConnectionError:
                told += client.seen
            else:
                await client.socket.disconnect()
    message = "authentication failed"
    data = {"code": "UNAUTHORIZED", "message": message}
    assert told == [
        ("connect_error", {"message": message}),
        ("connect_error", {"message": message, "data": data}),
    ]


async def test_who_comes_and_goes(server: ServerProcess) -> None:
    async def talk(alice: Client, bob: Client) -> None:
        await alice.until("user_joined_room")
        await bob.socket.disconnect()
        await alice.until("user_left_room")

    before, after = await differing(server, "presence", talk)
    for _, told in after:  # the moment, which is told too
        assert told.pop("joinedAt", None) or told.pop("leftAt")
    who = {"userId": "bob", "room": "lobby"}
    assert before == after == [("user_joined_room", who), ("user_left_room", who)]
    for words in ("bob has come", "bob has gone"):
        assert server.log.count(words) == len(SIDES)


async def test_a_task_in_the_background(server: ServerProcess) -> None:
    async def talk(alice: Client, bob: Client) -> None:
        await alice.until("counted", 2)

    for seen in await differing(server, "background", talk):
        (_, first), (_, second) = seen[:2]
        assert second["number"] == first["number"] + 1


async def test_a_greeting(server: ServerProcess) -> None:
    async def talk(alice: Client, bob: Client) -> None:
        await alice.until("hello")

    before, after = await differing(server, "fiddle", talk)
    assert before == [("hello", 1, 2, {"hello": "you"})]
    assert after == [("hello", {"first": 1, "second": 2, "hello": "you"})]


async def test_latency(server: ServerProcess) -> None:
    async def talk(alice: Client, bob: Client) -> None:
        await alice.emit("ping_from_client")
        await alice.until("pong_from_server")

    before, after = await differing(server, "latency", talk)
    assert before == [("pong_from_server",)]
    assert after == [("pong_from_server", {})]


def wait_heard(valkey: Valkey, channel: str) -> None:
    """Wait until somebody listens to a channel."""
    deadline = time.monotonic() + SECONDS
    while valkey.command("PUBSUB", "NUMSUB", channel)[1] == 0:
        assert time.monotonic() < deadline
        time.sleep(0.05)  # another process subscribes: nothing tells when


async def test_another_process_emits(server: ServerProcess, valkey: Valkey) -> None:
    for side in SIDES:
        async with connecting(server, side, "scaling") as [alice, _]:
            await to_thread.run_sync(wait_heard, valkey, "socketio")  # once a client has come
            worker = [sys.executable, "-m", f"migration.{side}.worker"]
            await anyio.run_process(worker, cwd=EXAMPLES)
            await alice.until("news")
            assert alice.seen == [("news", {"text": "done"})]


async def test_an_app_beside_it_tells_clients(server: ServerProcess) -> None:
    for side in SIDES:
        async with connecting(server, side, "beside_an_app") as [alice, _]:
            await alice.subscribe("visits")
            async with httpx.AsyncClient(base_url=server.http) as http:
                answer = await http.get(f"/{side}/beside_an_app/hello")
            assert answer.json() == {"message": "Hello, World!"}
            await alice.until("visited")
            assert alice.seen == [("visited", {"path": "/hello"})]


async def test_static_files(server: ServerProcess) -> None:
    async with httpx.AsyncClient(base_url=server.http) as http:
        for path in ("/", "/static/page.js"):
            before, after = [await http.get(f"/{side}/static_files{path}") for side in SIDES]
            assert before.status_code == after.status_code == 200
            assert before.text == after.text


async def test_options_and_origins(server: ServerProcess) -> None:
    for side in SIDES:
        path = f"/{side}/options/socket.io/?EIO=4&transport="
        url = f"{server.ws}{path}websocket"
        async with connect(url, origin="https://app.example.com") as socket:  # type: ignore[arg-type]
            opened = json.loads(str(await socket.recv())[1:])
        assert (opened["pingInterval"], opened["pingTimeout"]) == (10_000, 5_000)
        assert opened["maxPayload"] == 50_000
        with pytest.raises(InvalidStatus) as refused:
            await connect(url, origin="https://evil.example.com")  # type: ignore[arg-type]
        assert refused.value.response.status_code == 403
        async with httpx.AsyncClient(base_url=server.http) as http:
            assert (await http.get(f"{path}polling")).status_code == 400


async def test_logs(server: ServerProcess) -> None:
    for side in SIDES:
        async with connecting(server, side, "logs") as [alice, _]:
            await alice.call("work")
    assert 'received event "work"' in server.log
    assert "asked for work" in server.log


async def test_administration(server: ServerProcess) -> None:
    admin = socketio.AsyncClient(reconnection=False)
    await admin.connect(
        server.http,
        auth={"username": "admin", "password": "secret"},
        transports=["websocket"],
        namespaces=["/admin"],
        socketio_path="/before/admin/socket.io",
    )
    await admin.disconnect()
    async with httpx.AsyncClient(base_url=f"{server.http}/after/admin") as http:
        assert (await http.get("/console/")).status_code == 200
        assert (await http.get("/console/state.json")).status_code == 403
        shown = {"authorization": "Bearer secret"}
        assert (await http.get("/console/state.json", headers=shown)).status_code == 200


async def test_both_servers_side_by_side(server: ServerProcess) -> None:
    async with (
        connected(server.http, "/both", "alice") as [old],
        connected(server.http, "/both/v2", "bob", automatic=1) as [new],
    ):
        await old.emit("tell_all", {"text": "a"})
        for client in (old, new):
            await client.until("news")
        await new.emit("tell_all", {"text": "b"})
        for client in (old, new):
            await client.until("news", 2)
            assert client.seen == [("news", {"text": "a"}), ("news", {"text": "b"})]


async def test_the_new_server_at_both_paths(server: ServerProcess) -> None:
    for path in ("/moved", "/moved/v2"):
        async with connected(server.http, path, "alice", automatic=0) as [alice]:
            await alice.emit("greet", {"name": "Bob"})
            await alice.until("greeting")


def test_the_guide_shows_every_pair_and_every_pair_has_two_sides() -> None:
    names = {side: sorted(file.stem for file in (MIGRATION / side).glob("*.py")) for side in SIDES}
    assert names["before"] == names["after"]
    shown = re.findall(r"examples/migration/(\w+)/(\w+)\.py", GUIDE.read_text(encoding="utf-8"))
    for side in SIDES:
        assert sorted(name for where, name in shown if where == side) == names[side]
