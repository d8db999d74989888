"""What we read from an ASGI scope."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import parse_qsl

from lbproto.asgi.types import Receive, Scope, Send
from lbproto.transport import Peer

__all__ = ["deny", "peer_of", "refusal_headers", "route_path"]

_UNAVAILABLE = 503
# Another node, or the one that takes this one's place, may let the client in by then.
_RETRY_AFTER = "1"


def route_path(scope: Scope) -> str:
    """The path below the prefix that the app is mounted under."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root and (path == root or path.startswith(root + "/")):
        return path[len(root) :]
    return path


def peer_of(scope: Scope) -> Peer:
    """The peer of an ASGI scope."""
    client = scope.get("client")
    address = f"{client[0]}:{client[1]}" if client else ""
    query = parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    return Peer(address, _Headers(scope["headers"]), dict(query))


class _Headers(Mapping[str, str]):
    """Headers as the server has read them: few are ever asked for, and they live long."""

    __slots__ = ("_raw",)

    def __init__(self, raw: Sequence[tuple[bytes, bytes]]) -> None:
        self._raw = raw

    def __getitem__(self, name: str) -> str:
        wanted = name.encode("latin-1")
        for header, value in reversed(self._raw):
            if header.lower() == wanted:
                return value.decode("latin-1")
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name.decode("latin-1").lower() for name, _ in self._raw))

    def __len__(self) -> int:
        return len({name.lower() for name, _ in self._raw})


def refusal_headers(status: int) -> dict[str, str]:
    """The headers of a refusal in JSON; one that is for now only says when to try again."""
    headers = {"content-type": "application/json"}
    if status == _UNAVAILABLE:
        headers["retry-after"] = _RETRY_AFTER
    return headers


async def deny(scope: Scope, receive: Receive, send: Send, status: int, body: bytes) -> None:
    """Refuse a websocket before it is accepted, with an HTTP answer where the server can."""
    await receive()
    if "websocket.http.response" in scope.get("extensions", {}):
        told = refusal_headers(status).items()
        headers = [(name.encode(), value.encode()) for name, value in told]
        start = {"type": "websocket.http.response.start", "status": status, "headers": headers}
        await send(start)
        await send({"type": "websocket.http.response.body", "body": body})
    else:
        await send({"type": "websocket.close"})
