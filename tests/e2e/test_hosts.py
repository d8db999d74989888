"""Embedded in somebody else's app: as its front, and mounted in it under a prefix."""

from __future__ import annotations

import anyio
import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.e2e import hosts
from tests.e2e.clients import SECONDS, PlainClient, RawClient
from tests.e2e.conftest import Serve
from tests.e2e.node import NodeClient
from tests.serving import NotStarted, ServerProcess, serving

pytestmark = pytest.mark.anyio

KINDS = ["uvicorn-uvloop", "hypercorn-asyncio", "hypercorn-trio", "granian"]
# Where it starts and stops is hypercorn's own on each loop; what else is said here is not.
kinds = pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "hypercorn-asyncio"])
with_fastapi = pytest.mark.parametrize(
    ("kind", "module"),
    [
        *((kind, "hosts") for kind in KINDS),
        # Starlette too, underneath: so only once on asyncio and once on trio.
        ("uvicorn-uvloop", "hosts_fastapi"),
        ("hypercorn-trio", "hosts_fastapi"),
    ],
)


async def _served_by_both(server: ServerProcess, prefix: str = "") -> None:
    """Our paths are ours, the others are the host's."""
    async with httpx.AsyncClient(base_url=server.http, timeout=SECONDS) as client:
        assert (await client.get("/hello")).json()["greeting"].startswith("hello")
        assert (await client.get("/not-there")).status_code == 404
        opened = await client.get(f"{prefix}/socket.io/?EIO=4&transport=polling")
        assert opened.text.startswith('0{"sid":')
    async with connect(server.ws + "/echo", open_timeout=SECONDS) as websocket:
        await websocket.send("abc")
        with anyio.fail_after(SECONDS):
            assert await websocket.recv() == "cba"
    async with PlainClient.connecting(server, path=f"{prefix}/ws") as client:
        await client.until("connected")
        await client.call("subscribe", {"room": "market:ETH-USDT"})
        await client.until("market_chart_initial_data")
    async with RawClient.connecting(server, path=f"{prefix}/socket.io/") as raw:
        await raw.authenticate()


@with_fastapi
async def test_in_front_of_a_host(kind: str, module: str) -> None:
    with serving(f"tests.e2e.{module}:fallback", kind) as server:
        assert hosts.STARTED in server.log
        await _served_by_both(server)
        async with httpx.AsyncClient(base_url=server.http, timeout=SECONDS) as client:
            assert (await client.get("/hello")).json() == {"greeting": hosts.GREETING}
        assert hosts.STOPPED not in server.log
        server.stop()
        assert hosts.STOPPED in server.log
        assert "Traceback" not in server.log, server.log


@kinds
async def test_in_front_of_a_host_without_a_lifespan(kind: str) -> None:
    with serving("tests.e2e.hosts:fallback_bare", kind) as server:
        await _served_by_both(server)
        server.stop()
        assert "Traceback" not in server.log, server.log


@kinds
async def test_in_front_of_a_host_that_cannot_start(kind: str) -> None:
    app = "tests.e2e.hosts:fallback_failing"
    with pytest.raises(NotStarted, match=hosts.WHY), serving(app, kind):
        pass


@with_fastapi
async def test_mounted_in_a_host(serve: Serve, kind: str, module: str) -> None:
    await _served_by_both(serve(f"tests.e2e.{module}:mounted", kind), "/rt")


@kinds
@pytest.mark.usefixtures("node")
def test_a_stock_client_finds_it_under_a_prefix(serve: Serve, kind: str) -> None:
    server = serve("tests.e2e.hosts:mounted", kind)
    auth = {"token": "Bearer token-ada"}
    with NodeClient.connecting(server.http, path="/rt/socket.io/", auth=auth) as client:
        client.until(happened="upgrade")
        assert client.call("subscribe", {"room": "market:ETH-USDT"})["ok"] is True
        client.event("market_chart_live_update")


@kinds
async def test_mounted_and_the_lifespan_forgotten(kind: str) -> None:
    said = (
        "UsageError: this lbproto server is not running. A mounted app's lifespan is never run "
        "by its host: pass lifespan=server.lifespan to the host app, or serve "
        "server.asgi(fallback=host_app)"
    )
    with serving("tests.e2e.hosts:mounted_forgotten", kind) as server:
        async with httpx.AsyncClient(base_url=server.http, timeout=SECONDS) as client:
            assert (await client.get("/hello")).status_code == 200
            assert (await client.get("/rt/socket.io/?EIO=4&transport=polling")).status_code == 500
        server.wait_logged(said)
        with pytest.raises(InvalidStatus):  # 500, or 403 where the server makes it so
            async with connect(server.ws + "/rt/ws", open_timeout=SECONDS):
                pass
        server.wait_logged(said, 2)


async def test_a_root_path_of_the_server(serve: Serve) -> None:
    server = serve("tests.e2e.app:app", "uvicorn-uvloop", "--root-path", "/proxied")
    async with PlainClient.connecting(server) as client:
        await client.until("connected")
