"""Where a server answers: not where its host has something of its own."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from lbproto import UsageError
from lbproto.asgi import Probes, ServerApp
from lbproto.scheduling.tasks import background_tasks
from tests.core.harness import make_server
from tests.wire.asgi import websocket

pytestmark = pytest.mark.anyio

PATHS = ("/socket.io/", "/ws", "/rt/", "/rt/ws")


async def page(request: Request) -> PlainTextResponse:
    return PlainTextResponse("the host's")


async def socket(websocket: WebSocket) -> None:
    await websocket.accept("hosts")


def host() -> Starlette:
    """An app that answers everywhere."""
    return Starlette(
        routes=[
            *(Route(path, page) for path in PATHS),
            *(WebSocketRoute(path, socket) for path in PATHS),
        ]
    )


async def found(app: ServerApp, path: str) -> tuple[str, str]:
    """Who answers a request there, and who a websocket."""
    transport: Any = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
        text = (await client.get(path, params={"EIO": "4", "transport": "polling"})).text
    async with background_tasks() as tasks:
        call = await websocket(app, tasks, path=path)
        accepted = call.sent[0].get("subprotocol"), len(call.sent)
    names = {("hosts", 1): "host", (None, 2): "Socket.IO", (None, 1): "plain"}
    return "host" if text == "the host's" else "Socket.IO", names[accepted]


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ({}, ["Socket.IO", "plain", "host", "host"]),
        ({"websocket_path": None}, ["Socket.IO", "host", "host", "host"]),
        ({"websocket_path": "/rt/ws"}, ["Socket.IO", "host", "host", "plain"]),
        ({"socketio_path": "/rt"}, ["host", "plain", "Socket.IO", "host"]),
        (
            {"socketio_path": "/rt/", "websocket_path": "/rt/ws/"},
            ["host", "host", "Socket.IO", "plain"],
        ),
    ],
)
async def test_a_server_answers_where_it_is_told_to(
    paths: dict[str, Any], expected: list[str]
) -> None:
    server = make_server()
    app = server.asgi(host(), **paths)
    async with server.lifespan():
        answers = [await found(app, path) for path in PATHS]
    assert [each for _, each in answers] == expected
    assert [each for each, _ in answers] == [
        "host" if each == "plain" else each for each in expected
    ]


def test_other_probes_leave_the_paths_as_they_are() -> None:
    app = make_server().asgi(socketio_path="/rt/", websocket_path=None).with_probes(Probes())
    assert (app.socketio_path, app.websocket_path) == ("/rt", None)


@pytest.mark.parametrize(
    "paths",
    [
        {"socketio_path": "rt"},
        {"socketio_path": "/"},
        {"socketio_path": ""},
        {"websocket_path": ""},
        {"websocket_path": "ws"},
        {"websocket_path": "/socket.io"},
        {"socketio_path": "/ws/"},
        {"socketio_path": None},
        {"websocket_path": "/live/", "probes": Probes(live="/live")},
        {"socketio_path": "/readyz"},
    ],
)
def test_paths_that_are_refused(paths: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"is not a path such as /|have the path '/"):
        make_server().asgi(**paths)
