"""A server's AsyncAPI document over HTTP, where the host lets it be: an ASGI app for one path."""

from __future__ import annotations

from hashlib import sha256

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from lbproto.contract.asyncapi import asyncapi
from lbproto.contract.describe import describe
from lbproto.server import Server

__all__ = ["AsyncAPIApp"]

_METHODS = ("GET", "HEAD")


class AsyncAPIApp:
    """Answers every path that it is mounted on with the document; no server does so by itself.

    With Starlette and FastAPI: `Route("/asyncapi.json", AsyncAPIApp(server))`. It tells everybody
    what the server can be asked: put it behind the host's own authentication where they should not
    know.

    Args:
        server: what is described, as it is now.
        url, socketio_path, websocket_path: as for `asyncapi`.
        title, version: as for `describe`.

    Raises:
        UsageError: as for these.
    """

    def __init__(
        self,
        server: Server,
        *,
        url: str | None = None,
        socketio_path: str = "/socket.io/",
        websocket_path: str | None = "/ws",
        title: str = "lbproto",
        version: str = "0",
    ) -> None:
        document = asyncapi(
            describe(server, title=title, version=version),
            url=url,
            socketio_path=socketio_path,
            websocket_path=websocket_path,
        )
        self._body = msgspec.json.encode(document)
        self._tag = f'"{sha256(self._body).hexdigest()[:32]}"'

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request: with 304 where the client has the document already."""
        request = Request(scope)
        headers = {"etag": self._tag, "cache-control": "no-cache"}
        if request.method not in _METHODS:
            response = Response(status_code=405, headers={"allow": ", ".join(_METHODS)})
        elif self._is_known(request.headers.getlist("if-none-match")):
            response = Response(status_code=304, headers=headers)
        else:
            response = Response(self._body, headers=headers, media_type="application/json")
        await response(scope, receive, send)

    def _is_known(self, conditions: list[str]) -> bool:
        tags = [tag.strip().removeprefix("W/") for each in conditions for tag in each.split(",")]
        return self._tag in tags or "*" in tags
