"""The console as an ASGI app: a few files, what the page has to know, and how the server is."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import msgspec
from starlette.datastructures import MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from lbproto.asgi.scope import route_path
from lbproto.console.state import MayWatch, StateApp
from lbproto.contract import AsyncAPIApp
from lbproto.server import Server

__all__ = ["ConsoleApp"]

_TYPES = {
    "css": "text/css",
    "html": "text/html",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}
_METHODS = ("GET", "HEAD")
_NONE: Mapping[str, Any] = {}

# What is shown comes from a server, and with it from whoever writes to its rooms. Nothing but our
# own files may run, nothing may be made of text but text, and nothing leaves for elsewhere.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class ConsoleApp:
    """Answers below the path that it is mounted on: `Mount("/console", ConsoleApp(server))`.

    The page tells everybody who may load it what the server can be asked: put it behind the host's
    own authentication. What it asks and is sent goes by way of the server's own websocket, with a
    token that its user enters, and so under all of the server's rules.

    Args:
        server: what is shown, with the plugins it has now.
        path: of its plain WebSocket, on the host and port that the page is loaded from.
        title, version: of the contract.
        token: one to start with, shown to everybody; "" for none.
        examples: payloads to start with, by the names of their requests.
        may_watch: who may see the sessions, rooms and queues of all users; None for nobody.

    Raises:
        UsageError: as for `describe`.
    """

    def __init__(
        self,
        server: Server,
        *,
        path: str = "/ws",
        title: str = "lbproto",
        version: str = "0",
        token: str = "",
        examples: Mapping[str, Any] = _NONE,
        may_watch: MayWatch | None = None,
    ) -> None:
        settings = {
            "websocket": path,
            "token": token,
            "examples": examples,
            "watchable": may_watch is not None,
        }
        self._routes: dict[str, ASGIApp] = {
            f"/{name}": _File(body, _TYPES[name.rpartition(".")[2]])
            for name, body in _page().items()
        }
        self._routes["/"] = self._routes["/index.html"]
        self._routes["/settings.json"] = _File(msgspec.json.encode(settings), "application/json")
        self._routes["/asyncapi.json"] = AsyncAPIApp(server, title=title, version=version)
        if may_watch is not None:
            self._routes["/state.json"] = StateApp(server, may_watch)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; a websocket is refused."""
        if scope["type"] == "websocket":
            await WebSocketClose()(scope, receive, send)
            return
        path = route_path(scope)
        route = self._routes.get(path)
        if not path:  # the page names its files relatively
            route = RedirectResponse(scope["path"] + "/")
        elif route is None:
            route = Response("Not Found", 404)
        elif scope["method"] not in _METHODS:
            route = Response(status_code=405, headers={"allow": ", ".join(_METHODS)})

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await route(scope, receive, send_guarded)


class _File:
    """A file that is asked for again each time: after an upgrade none may be an old one."""

    def __init__(self, body: bytes, media_type: str) -> None:
        self._body = body
        self._media_type = media_type

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {"cache-control": "no-store"}
        response = Response(self._body, headers=headers, media_type=self._media_type)
        await response(scope, receive, send)


def _page() -> dict[str, bytes]:
    """The page's files, by name."""
    folder = files("lbproto.console") / "page"
    return {file.name: file.read_bytes() for file in folder.iterdir()}
