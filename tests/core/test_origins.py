"""Pages of other origins: which of them may connect, by WebSocket and by polling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from lbproto import Server, StaticTokens

pytestmark = pytest.mark.anyio

OURS = "https://app.example.com"
PATHS = {"plain": ("/ws", b""), "engine": ("/socket.io/", b"EIO=4&transport=websocket")}


class NotLetIn(Exception):
    """The handshake was refused, with this status."""


async def connect(server: Server, path: str, query: bytes, origin: str | None) -> None:
    """Do a WebSocket's handshake, and go at once."""
    headers = [] if origin is None else [(b"origin", origin.encode())]
    scope = {
        "type": "websocket",
        "path": path,
        "query_string": query,
        "headers": headers,
        "extensions": {"websocket.http.response": {}},
    }
    incoming = iter([{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1001}])
    answers: list[Any] = []

    async def receive() -> Any:
        return next(incoming)

    async def send(message: Any) -> None:
        answers.append(message)

    await server.asgi()(scope, receive, send)
    if answers[0]["type"] != "websocket.accept":
        raise NotLetIn(answers[0]["status"])


@pytest.mark.parametrize(("path", "query"), PATHS.values(), ids=PATHS)
@pytest.mark.parametrize(
    ("allowed", "origin"),
    [([OURS], OURS), ([OURS], None), (["*"], "https://evil.example.com"), (["*"], "null")],
)
async def test_a_page_that_may(
    path: str, query: bytes, allowed: Sequence[str], origin: str | None
) -> None:
    server = Server(auth=StaticTokens({}), allowed_origins=allowed)
    async with server.lifespan():
        await connect(server, path, query, origin)


@pytest.mark.parametrize(("path", "query"), PATHS.values(), ids=PATHS)
@pytest.mark.parametrize(
    "origin",
    ["https://evil.example.com", "null", "", f"{OURS}.evil.com", f"{OURS}:8443", OURS.upper()],
)
async def test_a_page_that_may_not(path: str, query: bytes, origin: str) -> None:
    server = Server(auth=StaticTokens({}), allowed_origins=[OURS])
    async with server.lifespan():
        with pytest.raises(NotLetIn, match="403"):
            await connect(server, path, query, origin)


async def test_polling_is_refused_and_its_answers_are_for_those_origins_alone() -> None:
    server = Server(auth=StaticTokens({}), allowed_origins=[OURS])
    transport = httpx.ASGITransport(server.asgi())
    async with (
        server.lifespan(),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        url = "/socket.io/?EIO=4&transport=polling"
        refused = await client.get(url, headers={"origin": "https://evil.example.com"})
        assert refused.status_code == 403
        assert "access-control-allow-origin" not in refused.headers
        let_in = await client.get(url, headers={"origin": OURS})
        assert let_in.status_code == 200
        assert let_in.headers["access-control-allow-origin"] == OURS
        assert let_in.headers["access-control-allow-credentials"] == "true"


async def test_where_any_page_may_poll_none_sends_credentials() -> None:
    server = Server(auth=StaticTokens({}))
    transport = httpx.ASGITransport(server.asgi())
    async with (
        server.lifespan(),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        url = "/socket.io/?EIO=4&transport=polling"
        let_in = await client.get(url, headers={"origin": "https://page.example.com"})
        assert let_in.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in let_in.headers
