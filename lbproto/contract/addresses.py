"""Where a server is, and how its wires are reached, in AsyncAPI's words."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from lbproto.errors import UsageError

__all__ = ["PLAIN_BINDING", "SECURITY", "servers"]

_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}

_TEXT = {"type": "string"}

PLAIN_BINDING: dict[str, Any] = {
    "method": "GET",
    "query": {
        "type": "object",
        "properties": {
            "pid": {**_TEXT, "description": "Plain WebSocket: the session to resume."},
            "offset": {**_TEXT, "description": "Plain WebSocket: how far the client has got."},
        },
    },
    "headers": {
        "type": "object",
        "properties": {
            "Authorization": {**_TEXT, "description": "Plain WebSocket: `Bearer <token>`."},
            "Sec-WebSocket-Protocol": {
                **_TEXT,
                "description": "Plain WebSocket: `lbproto.v1.json` or `lbproto.v1.msgpack`, and "
                "`bearer.<token>` beside it.",
            },
        },
    },
    "bindingVersion": "0.1.0",
}
"""The handshake of a WebSocket."""

SECURITY = {
    "type": "http",
    "scheme": "bearer",
    "description": "Socket.IO: `auth: {token}`. Plain WebSocket: the header `Authorization`, a "
    "subprotocol `bearer.<token>`, or a first event `authenticate {token}`.",
}
"""How a client shows its token."""


def servers(url: str, socketio_path: str, websocket_path: str | None) -> dict[str, Any]:
    """The wires of a server, by name.

    Args:
        url: what its paths come after, such as `wss://example.com/live`.
        socketio_path, websocket_path: as for `Server.asgi`.

    Raises:
        UsageError: its scheme is not `http`, `https`, `ws` or `wss`, or it has no host.
    """
    parts = urlsplit(url)
    scheme = _SCHEMES.get(parts.scheme)
    if scheme is None or not parts.netloc or "@" in parts.netloc:
        raise UsageError(f"{url!r} is not a server address; use wss://example.com")
    path = parts.path.rstrip("/")
    shared = {"host": parts.netloc, "security": [{"$ref": "#/components/securitySchemes/token"}]}
    wires = {
        "socketio": {
            **shared,
            "pathname": path + socketio_path.rstrip("/"),
            "protocol": scheme,
            "title": "Socket.IO v5",
            "description": "Engine.IO v4 over WebSocket or HTTP long-polling.",
        }
    }
    if websocket_path is not None:
        wires["plain"] = {
            **shared,
            "pathname": path + websocket_path.rstrip("/"),
            "protocol": scheme,
            "title": "Plain WebSocket",
            "description": "Frames `{event, data, id?}`; answers carry the request's id as `re`.",
        }
    return wires
