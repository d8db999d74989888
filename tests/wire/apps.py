"""What the conformance tests talk to: echo servers on the wire-level port."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from lbproto.asgi import EngineIOApp, SocketIOApp
from lbproto.asgi.lifespan import serve_lifespan
from lbproto.asgi.types import Receive, Scope, Send
from lbproto.wire import Arguments, Inbound, Link, Message, Settings, Socket

# Each has its own path, for no test is to depend on how fast a machine is: where a time has to pass
# it is short, and where it must not it is long.
_UNHURRIED: dict[str, Any] = {"connect_timeout": 60.0, "upgrade_timeout": 60.0}
_SETTINGS = {
    "": Settings(**_UNHURRIED),
    "/asking": Settings(ping_interval=0.1, ping_timeout=60.0, **_UNHURRIED),
    "/hasty": Settings(ping_interval=0.1, ping_timeout=0.1, **_UNHURRIED),
    "/waiting": Settings(ping_interval=0.1, ping_timeout=60.0, connect_timeout=0.5),
}


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


_apps: dict[str, EngineIOApp | SocketIOApp] = {}
for _prefix, _settings in _SETTINGS.items():
    _path = f"{_prefix}/engine.io/"
    _apps[_path] = EngineIOApp(EngineEcho, settings=_settings, path=_path)
    _path = f"{_prefix}/socket.io/"
    _apps[_path] = SocketIOApp(
        SocketEcho(), namespaces=("/", "/custom"), settings=_settings, path=_path
    )


@asynccontextmanager
async def _lifespan() -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for each in _apps.values():
            await stack.enter_async_context(each.lifespan({}))
        yield


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """All of them, each at its path."""
    if scope["type"] == "lifespan":
        await serve_lifespan(_lifespan, receive, send)
    else:
        await _apps.get(scope["path"], _apps["/socket.io/"])(scope, receive, send)
