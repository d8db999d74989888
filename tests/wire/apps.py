"""What the conformance tests talk to: echo servers with short times, on the wire-level port."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lbproto.asgi import EngineIOApp, SocketIOApp
from lbproto.asgi.lifespan import serve_lifespan
from lbproto.asgi.types import Receive, Scope, Send
from lbproto.wire import Arguments, Inbound, Link, Message, Settings, Socket

# The public suites ask for a time-out of 200 ms, which a busy machine may not keep.
SETTINGS = Settings(ping_interval=0.3, ping_timeout=0.6, connect_timeout=1.0)


class EngineEcho:
    """Sends every message back."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def message(self, data: Message) -> None:
        self._link.send(data)

    def closed(self, reason: str) -> None:
        pass


class SocketEcho:
    """Tells a client its auth, and sends events back, as events or as acknowledgements."""

    async def authenticate(self, socket: Socket, auth: Arguments) -> None:
        socket.state = auth.first(dict)

    async def opened(self, socket: Socket) -> None:
        socket.emit("auth", socket.state)

    async def event(self, socket: Socket, inbound: Inbound) -> None:
        if inbound.id is None:
            socket.emit("back", *inbound.arguments.values())
        else:
            socket.acknowledge(inbound.id, *inbound.arguments.values())

    def acknowledged(self, socket: Socket, request: int, arguments: Arguments) -> None:
        """Nothing here asks for an acknowledgement; a client may send one all the same."""

    def closed(self, socket: Socket, reason: str) -> None:
        pass


_engineio = EngineIOApp(EngineEcho, settings=SETTINGS)
_socketio = SocketIOApp(SocketEcho(), namespaces=("/", "/custom"), settings=SETTINGS)


@asynccontextmanager
async def _lifespan() -> AsyncIterator[None]:
    async with _engineio.lifespan({}), _socketio.lifespan({}):
        yield


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Both, each on its path."""
    if scope["type"] == "lifespan":
        await serve_lifespan(_lifespan, receive, send)
    elif scope["path"].startswith("/engine.io/"):
        await _engineio(scope, receive, send)
    else:
        await _socketio(scope, receive, send)
