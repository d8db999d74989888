"""Host apps that a server is embedded in; each is an attribute of this module."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

from lbproto.asgi.types import Receive, Scope, Send
from tests.e2e.app import build

STARTED, STOPPED = "the host has started", "the host has stopped"
GREETING = "hello from the host"
WHY = "the host has no database"


@asynccontextmanager
async def lifespan(_app: object) -> AsyncIterator[dict[str, str]]:
    print(STARTED)
    yield {"greeting": GREETING}
    print(STOPPED)


@asynccontextmanager
async def _failing(app: object) -> AsyncIterator[None]:
    if app is not None:
        raise RuntimeError(WHY)
    yield


async def _hello(request: Request) -> JSONResponse:
    return JSONResponse({"greeting": getattr(request.state, "greeting", "hello")})


async def _echo(websocket: WebSocket) -> None:
    await websocket.accept()
    # The client closes: two closes at once can take down all of hypercorn on trio (0.18).
    async for text in websocket.iter_text():
        await websocket.send_text(text[::-1])


routes = [Route("/hello", _hello), WebSocketRoute("/echo", _echo)]


async def _bare(scope: Scope, receive: Receive, send: Send) -> None:
    """A host that knows of no lifespan."""
    assert scope["type"] in ("http", "websocket")
    await Starlette(routes=routes)(scope, receive, send)


fallback = build().asgi(Starlette(routes=routes, lifespan=lifespan))
fallback_bare = build().asgi(_bare)
fallback_failing = build().asgi(Starlette(routes=routes, lifespan=_failing))

_server = build()
mounted = Starlette(routes=[*routes, Mount("/rt", _server.asgi())], lifespan=_server.lifespan)
mounted_forgotten = Starlette(routes=[*routes, Mount("/rt", build().asgi())])
