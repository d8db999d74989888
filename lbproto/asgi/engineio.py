"""Engine.IO's endpoint: handshakes, and every later request to the session it belongs to."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import msgspec
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

from lbproto.asgi.direct import open_websocket
from lbproto.asgi.polling import is_over, poll, post
from lbproto.asgi.scope import deny, peer_of, refusal_headers
from lbproto.asgi.types import Receive, Scope, Send
from lbproto.asgi.websocket import WebSocketTransport
from lbproto.connection.engineio import EngineConnection, OpenHandler
from lbproto.connection.runtime import Runtime
from lbproto.frame import frame_of
from lbproto.transport import CloseCode, Peer
from lbproto.wire.engineio import UPGRADE
from lbproto.wire.settings import ProtocolError

__all__ = ["EngineEndpoint"]

_VERSION = "4"


class _BadRequest(Exception):
    """A request that Engine.IO refuses, with the reference server's code and text for it."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
        self.body = msgspec.json.encode({"code": code, "message": message})


_UNKNOWN_TRANSPORT = _BadRequest(0, "Transport unknown")
_UNKNOWN_SESSION = _BadRequest(1, "Session ID unknown")
_NO_POLLING = _BadRequest(0, 'This server takes websockets only: set transports: ["websocket"]')
_BAD_METHOD = _BadRequest(2, "Bad handshake method")
_FORBIDDEN = _BadRequest(4, "Forbidden", 403)
_UNSUPPORTED_VERSION = _BadRequest(5, "Unsupported protocol version")
_OVERLOADED = _BadRequest(3, "The server takes no new connections now", 503)


class EngineEndpoint:
    """An ASGI app for one path.

    Args:
        runtime: what its connections share.
        open_handler: makes what stands on each.
        allowed_origins: browser origins that may connect; "*" for any.
    """

    def __init__(
        self, runtime: Runtime, open_handler: OpenHandler, allowed_origins: Sequence[str]
    ) -> None:
        self._runtime = runtime
        self._open_handler = open_handler
        self._allowed_origins = frozenset(allowed_origins)
        self._http = CORSMiddleware(
            self._serve_http,
            allow_origins=allowed_origins,
            allow_methods=("GET", "POST"),
            allow_headers=("*",),
            allow_credentials="*" not in self._allowed_origins,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._runtime.check_running()
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await self._serve_websocket(scope, receive, send)

    def _find(self, peer: Peer, transport: str) -> EngineConnection | None:
        """The session a request belongs to; None where it asks for a new one."""
        if peer.query.get("transport") != transport:
            raise _UNKNOWN_TRANSPORT
        if peer.query.get("EIO") != _VERSION:
            raise _UNSUPPORTED_VERSION
        origin = peer.headers.get("origin")
        if origin is not None and not {"*", origin} & self._allowed_origins:
            raise _FORBIDDEN
        if transport == "polling" and not self._runtime.polling:
            raise _NO_POLLING
        sid = peer.query.get("sid")
        if sid is None:
            if not self._runtime.accepting:
                raise _OVERLOADED
            return None
        connection = self._runtime.engines.get(sid)
        if connection is None or is_over(connection):
            raise _UNKNOWN_SESSION
        return connection

    async def _serve_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = await self._answer(request, peer_of(scope))
        await response(scope, receive, send)

    async def _answer(self, request: Request, peer: Peer) -> Response:
        try:
            connection = self._find(peer, "polling")
            if connection is None:
                if request.method != "GET":
                    raise _BAD_METHOD
                connection = EngineConnection(self._runtime, peer, self._open_handler)
        except _BadRequest as refused:
            return Response(refused.body, refused.status, refusal_headers(refused.status))
        if request.method == "GET":
            return await poll(request, connection)
        if request.method == "POST":
            return await post(request, connection)
        return Response(_BAD_METHOD.body, _BAD_METHOD.status, media_type="application/json")

    async def _serve_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        peer = peer_of(scope)
        try:
            polling = self._find(peer, "websocket")
        except _BadRequest as refused:
            await deny(scope, receive, send, refused.status, refused.body)
            return
        await receive()
        await send({"type": "websocket.accept"})
        transport = open_websocket(scope, receive, send)
        if polling is None:
            connection = EngineConnection(self._runtime, peer, self._open_handler, transport)
        elif polling.polls is None:
            await transport.close(CloseCode.POLICY_VIOLATION, "the session has a websocket")
            return
        elif await self._upgrade(polling, transport):
            connection = polling
        else:
            return
        await transport.serve(connection)

    async def _upgrade(self, connection: EngineConnection, transport: WebSocketTransport) -> bool:
        """Let a websocket take over from polling.

        Returns:
            Whether it has; otherwise it is closed, and the session goes on polling.
        """
        probed = False
        runtime = self._runtime
        deadline = runtime.clock.monotonic() + runtime.settings.upgrade_timeout
        try:
            with anyio.CancelScope() as scope, runtime.timers.deadline(deadline, scope.cancel):
                while not isinstance(packet := await transport.receive(), int):
                    if packet == UPGRADE and not probed:
                        break  # the probe under way is another websocket's
                    try:
                        answer = connection.receive_probe(packet, transport)
                    except ProtocolError:
                        break
                    if answer is None:
                        return True
                    probed = True
                    await transport.send([frame_of(answer.encode())])
                else:
                    transport.lost()
        except OSError:
            transport.lost()
        finally:
            # However it ended, also by the server's hand: polls would be answered at once for ever.
            if probed:
                connection.probe_lost()  # no effect where the websocket has taken over
        await transport.close(CloseCode.PROTOCOL_ERROR, "not an upgrade")
        return False
