"""The console as an app: what it answers, to whom, and what it lets a page do."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Mount
from starlette.types import Message

from lbproto import Server
from lbproto.auth import StaticTokens
from lbproto.console import ConsoleApp
from lbproto.testing import VirtualClock, connect

pytestmark = pytest.mark.anyio

PAGE = Path(__file__).parents[2] / "lbproto" / "console" / "page"


async def knows_the_word(request: Request) -> bool:
    return request.headers.get("authorization") == "Bearer sesame"


def client(console: ConsoleApp) -> httpx.AsyncClient:
    app = Starlette(routes=[Mount("/console", console)])
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="http://host/console/")


@pytest.fixture
def server() -> Server:
    return Server(auth=StaticTokens({"token-ada": "ada"}), clock=VirtualClock())


async def test_files_come_under_a_policy_that_lets_nothing_else_run(server: Server) -> None:
    async with client(ConsoleApp(server)) as http:
        for file in PAGE.iterdir():
            answer = await http.get(file.name)
            assert (answer.status_code, answer.content) == (200, file.read_bytes())
        page = await http.get("")
        moved = await http.get("http://host/console")
        missing = await http.get("../console/..%2fapp.py")
        posted = await http.post("")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
    assert "unsafe" not in policy
    assert missing.headers["content-security-policy"] == policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert moved.headers["location"].endswith("/console/")
    assert (missing.status_code, posted.status_code) == (404, 405)


def test_no_file_makes_markup_of_text_or_names_another_address() -> None:
    for file in PAGE.iterdir():
        text = file.read_text()
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", text)
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), file.name
        assert "style=" not in text
        assert len(text.splitlines()) <= 400


async def test_the_state_is_for_whom_the_host_lets(server: Server) -> None:
    console = ConsoleApp(server, may_watch=knows_the_word)
    async with client(console) as http, server.lifespan(), connect(server, "token-ada"):
        assert (await http.get("settings.json")).json()["watchable"] is True
        assert (await http.get("state.json")).status_code == 403
        wrong = {"authorization": "Bearer token-ada"}
        assert (await http.get("state.json", headers=wrong)).status_code == 403
        right = {"authorization": "Bearer sesame"}
        state = (await http.get("state.json", headers=right)).json()
    assert state["statistics"]["sessions"] == 1
    [session] = state["sessions"]
    assert (session["userId"], session["away"]) == ("ada", False)
    assert session["outbox"]["queuedFrames"] >= 0
    assert state["rooms"] == [{"room": "user:ada", "sessions": 1, "away": 0, "keptEvents": 0}]


async def test_by_default_nobody_sees_the_state(server: Server) -> None:
    async with client(ConsoleApp(server)) as http:
        assert (await http.get("state.json")).status_code == 404
        settings = (await http.get("settings.json")).json()
        assert (settings["token"], settings["watchable"]) == ("", False)
        assert (await http.get("asyncapi.json")).json()["asyncapi"].startswith("3.")


@pytest.mark.parametrize("path", ["/", "/asyncapi.json", "/nowhere"])
async def test_websockets_are_refused(server: Server, path: str) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": f"/console{path}", "headers": [], "query_string": b""}
    app = Starlette(routes=[Mount("/console", ConsoleApp(server))])
    await app(scope, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"]
