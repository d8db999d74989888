"""The endpoint for plain WebSocket: agrees on a subprotocol and finds the token."""

from __future__ import annotations

from collections.abc import Sequence

from lbproto.asgi.direct import open_websocket
from lbproto.asgi.scope import deny, peer_of
from lbproto.asgi.types import Receive, Scope, Send
from lbproto.connection.plain import PlainConnection
from lbproto.connection.runtime import Runtime
from lbproto.transport import Peer
from lbproto.wire.plain import PLAIN_JSON, SUBPROTOCOLS
from lbproto.wire.port import Handler

__all__ = ["PlainEndpoint"]

_BEARER = "bearer."


class PlainEndpoint:
    """An ASGI app for one path.

    Args:
        runtime: what its connections share.
        handler: what the sockets are for.
        allowed_origins: browser origins that may connect; "*" for any.
    """

    def __init__(self, runtime: Runtime, handler: Handler, allowed_origins: Sequence[str]) -> None:
        self._runtime = runtime
        self._handler = handler
        self._allowed_origins = frozenset(allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._runtime.check_running()
        peer = peer_of(scope)
        origin = peer.headers.get("origin")
        if not self._runtime.accepting:
            await deny(scope, receive, send, 503, b'{"code":"OVERLOADED"}')
            return
        if origin is not None and not {"*", origin} & self._allowed_origins:
            await deny(scope, receive, send, 403, b'{"code":"UNAUTHORIZED"}')
            return
        offered: list[str] = scope.get("subprotocols", [])
        agreed = next((name for name in offered if name in SUBPROTOCOLS), None)
        await receive()
        await send({"type": "websocket.accept", "subprotocol": agreed})
        transport = open_websocket(scope, receive, send)
        connection = PlainConnection(
            self._runtime,
            peer,
            transport,
            self._handler,
            PLAIN_JSON if agreed is None else SUBPROTOCOLS[agreed],
            _token(peer, offered),
        )
        await transport.serve(connection)


def _token(peer: Peer, offered: Sequence[str]) -> str | None:
    """The token shown with the handshake; a browser can only show one as a subprotocol."""
    header = peer.headers.get("authorization")
    if header is not None:
        return header
    shown = (name for name in offered if name.startswith(_BEARER))
    return next((name[len(_BEARER) :] for name in shown), None)
