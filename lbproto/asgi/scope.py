"""What we read from an ASGI scope."""

from __future__ import annotations

from starlette.datastructures import Headers, QueryParams

from lbproto.asgi.types import Receive, Scope, Send
from lbproto.transport import Peer

__all__ = ["deny", "peer_of", "route_path"]


def route_path(scope: Scope) -> str:
    """The path below the prefix that the app is mounted under."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root and (path == root or path.startswith(root + "/")):
        return path[len(root) :]
    return path


def peer_of(scope: Scope) -> Peer:
    """Who is at the other end."""
    client = scope.get("client")
    address = f"{client[0]}:{client[1]}" if client else ""
    headers = dict(Headers(scope=scope).items())
    return Peer(address, headers, dict(QueryParams(scope.get("query_string", b"")).items()))


async def deny(scope: Scope, receive: Receive, send: Send, status: int, body: bytes) -> None:
    """Refuse a websocket before it is accepted, with an HTTP answer where the server can."""
    await receive()
    if "websocket.http.response" in scope.get("extensions", {}):
        headers = [(b"content-type", b"application/json")]
        start = {"type": "websocket.http.response.start", "status": status, "headers": headers}
        await send(start)
        await send({"type": "websocket.http.response.body", "body": body})
    else:
        await send({"type": "websocket.close"})
