"""What an orchestrator asks of a node, and what it is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest

from lbproto import UsageError
from lbproto.asgi import HealthApp, Probes
from lbproto.asgi.types import ASGIApp
from lbproto.backends.memory import MemoryPubSub, MemoryStorage
from lbproto.errors import Overloaded
from lbproto.testing import VirtualClock, settle
from tests.core.harness import make_server

pytestmark = pytest.mark.anyio

READY = {
    "status": "ready",
    "red": [],
    "checks": {"connections": "ok", "broker": "ok", "storage": "ok"},
}


class Deaf(MemoryPubSub):
    @property
    def ready(self) -> bool:
        return False


class FailingStorage(MemoryStorage):
    """One that counts how often it is asked, and does not answer as it should."""

    def __init__(self, clock: VirtualClock, *, hangs: bool = False) -> None:
        super().__init__(clock)
        self.hangs = hangs
        self.asked = 0

    async def get(self, key: str) -> bytes | None:
        self.asked += 1
        if self.hangs:
            await anyio.sleep_forever()
        raise Overloaded("redis://lbproto:secret@10.0.0.1 is away")


@asynccontextmanager
async def asking(app: ASGIApp) -> AsyncIterator[httpx.AsyncClient]:
    transport: Any = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
        yield client


async def test_a_node_that_is_well() -> None:
    server = make_server()
    async with server.lifespan(), asking(server.asgi()) as client:
        live, ready = await client.get("/healthz"), await client.get("/readyz/")
        assert (live.status_code, live.json()) == (200, {"status": "live"})
        assert (ready.status_code, ready.json()) == (200, READY)
        assert ready.headers["cache-control"] == "no-store"
        head = await client.head("/readyz")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == ready.headers["content-length"]
        assert (await client.post("/readyz")).status_code == 405
        assert (await server.health()).ready


async def test_a_drained_node_lives_and_is_not_ready() -> None:
    server = make_server()
    async with asking(server.asgi()) as client:
        async with server.lifespan():
            await server.drain(0)
            assert (await client.get("/healthz")).status_code == 200
            told = await client.get("/readyz")
            assert (told.status_code, told.json()["red"]) == (503, ["connections"])
            assert told.json()["checks"]["connections"].startswith("draining")
        assert (await client.get("/healthz")).status_code == 503
        assert (await client.get("/readyz")).json()["red"] == ["connections", "storage"]


async def test_one_that_does_not_hear_the_others_is_not_ready() -> None:
    server = make_server(pubsub=Deaf())
    async with server.lifespan(), asking(server.asgi()) as client:
        told = await client.get("/readyz")
        assert (told.status_code, told.json()["red"]) == (503, ["broker"])
        assert told.json()["checks"]["broker"] == "the other nodes are out of reach"


async def test_a_storage_that_fails_is_asked_once_a_second_and_tells_nobody_its_address(
    clock: VirtualClock,
) -> None:
    storage = FailingStorage(clock)
    server = make_server(clock=clock, storage=storage)
    async with server.lifespan(), asking(server.asgi()) as client:
        for _ in range(50):
            told = await client.get("/readyz")
            assert (told.status_code, told.json()["red"]) == (503, ["storage"])
            assert told.json()["checks"]["storage"] == "out of reach"
        assert storage.asked == 1
        await clock.advance(1)
        await client.get("/readyz")
        assert storage.asked == 2


async def test_a_storage_that_hangs_is_asked_by_one_and_given_up(clock: VirtualClock) -> None:
    storage = FailingStorage(clock, hangs=True)
    server = make_server(clock=clock, storage=storage)
    told: list[str] = []

    async def ask() -> None:
        told.append((await server.health()).checks["storage"])

    async with server.lifespan(), anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(ask)
        await settle()
        assert (storage.asked, told) == (1, [])
        await clock.advance(2)
    assert told == ["does not answer"] * 3


async def test_who_waits_for_one_that_gives_up_asking_is_told_nothing_of_before(
    clock: VirtualClock,
) -> None:
    storage = FailingStorage(clock, hangs=True)
    server = make_server(clock=clock, storage=storage)
    told: list[str] = []

    async def ask(scope: anyio.CancelScope) -> None:
        with scope:
            told.append((await server.health()).checks["storage"])

    async with server.lifespan(), anyio.create_task_group() as tasks:
        scopes = anyio.CancelScope(), anyio.CancelScope()
        for scope in scopes:
            tasks.start_soon(ask, scope)
            await settle()
        scopes[0].cancel()
    assert (storage.asked, told) == (1, ["does not answer"])


async def test_what_all_nodes_share_need_not_count(clock: VirtualClock) -> None:
    server = make_server(clock=clock, storage=FailingStorage(clock))
    async with server.lifespan(), asking(server.asgi(probes=Probes(ignore=["storage"]))) as client:
        told = await client.get("/readyz")
        assert (told.status_code, told.json()["status"]) == (200, "ready")
        assert told.json()["red"] == ["storage"]


async def host(scope: Any, receive: Any, send: Any) -> None:
    """A host app that has probes of its own."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"the host's"})


@pytest.mark.parametrize(
    ("probes", "paths"),
    [
        (None, {"/healthz": "the host's", "/readyz": "the host's"}),
        (Probes(live="/live", ready=""), {"/live": '{"status":"live"}', "/readyz": "the host's"}),
    ],
)
async def test_a_host_keeps_its_own(probes: Probes | None, paths: dict[str, str]) -> None:
    server = make_server()
    async with server.lifespan(), asking(server.asgi(host, probes)) as client:
        assert {path: (await client.get(path)).text for path in paths} == paths


async def test_mounted_by_a_host() -> None:
    from starlette.applications import Starlette
    from starlette.routing import Mount

    server = make_server()
    app = Starlette(routes=[Mount("/ops", HealthApp(server))], lifespan=server.lifespan)
    async with server.lifespan(), asking(app) as client:
        assert (await client.get("/ops/readyz")).json() == READY
        assert (await client.get("/ops/socket.io/")).status_code == 404


@pytest.mark.parametrize("paths", [("healthz", ""), ("/x/", ""), ("/x", "/x"), ("/", "")])
def test_paths_that_are_none(paths: tuple[str, str]) -> None:
    with pytest.raises(UsageError, match="probes: "):
        Probes(live=paths[0], ready=paths[1])
