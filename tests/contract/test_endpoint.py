"""The document over HTTP, where a host mounts it."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Route

from lbproto import Server, StaticTokens, UsageError
from lbproto.contract import AsyncAPIApp, read

pytestmark = pytest.mark.anyio

PATH = "/asyncapi.json"


@pytest.fixture(scope="module")
def server() -> Server:
    return Server(auth=StaticTokens({}))


def client(app: object) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url="http://host")


def mounted(server: Server) -> Starlette:
    return Starlette(routes=[Route(PATH, AsyncAPIApp(server, title="Mine", version="7"))])


async def test_a_server_shows_it_only_where_it_is_mounted(server: Server) -> None:
    async with client(server.asgi()) as bare:
        assert (await bare.get(PATH)).status_code == 404
    async with client(server.asgi(fallback=mounted(server))) as host:
        answer = await host.get(PATH)
    assert answer.headers["content-type"] == "application/json"
    contract = read(answer.content)
    assert (contract.title, contract.version) == ("Mine", "7")
    assert "ping" in [request.event for request in contract.requests]


async def test_who_has_it_is_not_sent_it_again(server: Server) -> None:
    async with client(mounted(server)) as host:
        first = await host.get(PATH)
        tag = first.headers["etag"]
        for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            again = await host.get(PATH, headers={"if-none-match": known})
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["etag"] == tag
        other = await host.get(PATH, headers={"if-none-match": '"other"'})
        assert (other.status_code, other.content) == (200, first.content)
    async with client(Starlette(routes=[Route(PATH, AsyncAPIApp(server))])) as changed:
        assert (await changed.get(PATH)).headers["etag"] != tag


async def test_it_is_only_read(server: Server) -> None:
    async with client(mounted(server)) as host:
        head = await host.head(PATH)
        assert (head.status_code, head.content) == (200, b"")
        refused = await host.post(PATH)
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


async def test_a_fastapi_host_may_mount_it(server: Server) -> None:
    app = FastAPI()
    app.add_route(PATH, AsyncAPIApp(server))  # type: ignore[arg-type]
    async with client(app) as host:
        assert read((await host.get(PATH)).content).title == "lbproto"


def test_an_address_that_is_none(server: Server) -> None:
    with pytest.raises(UsageError):
        AsyncAPIApp(server, url="nowhere")
