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


def servers(url: str) -> dict[str, Any]:
    """The two wires of a server, by name.

    Args:
        url: what its paths come after, such as `wss://example.com/live`.

    Raises:
        UsageError: its scheme is not `http`, `https`, `ws` or `wss`, or it has no host.
    """
    parts = urlsplit(url)
    scheme = _SCHEMES.get(parts.scheme)
    if scheme is None or not parts.netloc or "@" in parts.netloc:
        raise UsageError(f"{url!r} is not a server address; use wss://example.com")
    path = parts.path.rstrip("/")
    shared = {"host": parts.netloc, "security": [{"$ref": "#/components/securitySchemes/token"}]}
    return {
        "socketio": {
            **shared,
            "pathname": f"{path}/socket.io",
            "protocol": scheme,
            "title": "Socket.IO v5",
            "description": "Engine.IO v4 over WebSocket or HTTP long-polling.",
        },
        "plain": {
            **shared,
            "pathname": f"{path}/ws",
            "protocol": scheme,
            "title": "Plain WebSocket",
            "description": "Frames `{event, data, id?}`; answers carry the request's id as `re`.",
        },
    }
