"""ASGI apps: a `Server`, and the wire-level port on its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
)
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.responses import PlainTextResponse

from lbproto.asgi.engineio import EngineEndpoint
from lbproto.asgi.lifespan import host_lifespan, serve_lifespan
from lbproto.asgi.plain import PlainEndpoint
from lbproto.asgi.probes import Probes, probe_endpoints
from lbproto.asgi.scope import route_path
from lbproto.asgi.types import ASGIApp, Receive, Scope, Send
from lbproto.connection.runtime import Runtime
from lbproto.connection.socketio import SocketIO
from lbproto.errors import UsageError
from lbproto.wire.port import Handler, Link, MessageHandler
from lbproto.wire.settings import Settings

if TYPE_CHECKING:
    from lbproto.server import Server

__all__ = ["EngineIOApp", "HealthApp", "ServerApp", "SocketIOApp"]

Run = Callable[[], AbstractAsyncContextManager[None]]


class _PathApp:
    """Endpoints by path, a lifespan, and a fallback for everything else.

    Args:
        run: runs what the endpoints stand on.
        http: endpoints for HTTP, by path without a trailing slash.
        websocket: likewise for websockets.
        fallback: the host's app: gets every other path, and its lifespan is run too.
    """

    def __init__(
        self,
        run: Run,
        http: Mapping[str, ASGIApp],
        websocket: Mapping[str, ASGIApp],
        fallback: ASGIApp | None = None,
    ) -> None:
        self._run = run
        self._endpoints = {"http": http, "websocket": websocket}
        self._fallback = fallback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "lifespan":
            state = scope.get("state", {})
            await serve_lifespan(partial(self.lifespan, state), receive, send)
            return
        path = route_path(scope).rstrip("/")
        await self._endpoints[kind].get(path, self._fallback or _not_found)(scope, receive, send)

    @asynccontextmanager
    async def lifespan(self, state: dict[str, Any]) -> AsyncIterator[None]:
        """What an ASGI server's lifespan scope runs; for a program that serves without one.

        Args:
            state: filled with what the host's lifespan gives to its requests.
        """
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._run())
            if self._fallback is not None:
                await stack.enter_async_context(host_lifespan(self._fallback, state))
            yield


class ServerApp(_PathApp):
    """A server on its paths; made by `Server.asgi`.

    Args:
        server: runs with this app's lifespan.
        fallback: the host's app; None for "404 Not Found".
        probes: where health probes are; None for the usual places if there is no `fallback`, which
            may have its own, and else for nowhere.
        socketio_path: where Socket.IO is spoken.
        websocket_path: where plain WebSocket is; None for nowhere.

    Attributes:
        server, fallback, probes: those given, or the default ones.
        socketio_path, websocket_path: those given, without a slash at the end.

    Raises:
        UsageError: a path does not begin with "/", or is that alone; or two are the same.
    """

    def __init__(
        self,
        server: Server,
        fallback: ASGIApp | None = None,
        probes: Probes | None = None,
        *,
        socketio_path: str = "/socket.io/",
        websocket_path: str | None = "/ws",
    ) -> None:
        self.server = server
        self.fallback = fallback
        self.socketio_path = _path("socketio_path", socketio_path)
        self.websocket_path = (
            None if websocket_path is None else _path("websocket_path", websocket_path)
        )
        self.probes = probes or (Probes() if fallback is None else Probes(live="", ready=""))
        self._check_paths()
        origins = server.allowed_origins
        sessions = server.sessions
        open_sockets = partial(SocketIO, handler=sessions, namespaces=server.namespaces)
        engine = EngineEndpoint(server.runtime, open_sockets, origins)
        websocket: dict[str, ASGIApp] = {self.socketio_path: engine}
        if self.websocket_path is not None:
            websocket[self.websocket_path] = PlainEndpoint(server.runtime, sessions, origins)
        http = probe_endpoints(server, self.probes)
        http[self.socketio_path] = engine
        super().__init__(server.lifespan, http, websocket, fallback)

    def with_probes(self, probes: Probes) -> ServerApp:
        """The same with other probes."""
        return ServerApp(
            self.server,
            self.fallback,
            probes,
            socketio_path=self.socketio_path,
            websocket_path=self.websocket_path,
        )

    def _check_paths(self) -> None:
        probes = self.probes
        paths = (self.socketio_path, self.websocket_path, probes.live, probes.ready)
        for path in filter(None, paths):
            if paths.count(path) > 1:
                raise UsageError(
                    f"two of Socket.IO, WebSocket and the probes have the path {path!r}"
                )


class HealthApp(_PathApp):
    """An ASGI app of the health probes alone: to be mounted, or served on a port of its own.

    Args:
        server: runs elsewhere.
        probes: where it is told, below the path that this is mounted at.
    """

    def __init__(self, server: Server, probes: Probes = Probes()) -> None:  # noqa: B008 - immutable
        super().__init__(nullcontext, probe_endpoints(server, probes), {})


class SocketIOApp(_PathApp):
    """Socket.IO for a wire-level handler: raw events, any arguments.

    Args:
        handler: what the sockets are for.
        namespaces: those that a client may connect to.
        settings: bounds and times.
        path: where it answers.
        allowed_origins: browser origins that may connect; "*" for any.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        namespaces: Iterable[str] = ("/",),
        settings: Settings | None = None,
        path: str = "/socket.io/",
        allowed_origins: Sequence[str] = ("*",),
    ) -> None:
        runtime = Runtime(settings or Settings())
        open_sockets = partial(SocketIO, handler=handler, namespaces=frozenset(namespaces))
        endpoints = {path.rstrip("/"): EngineEndpoint(runtime, open_sockets, allowed_origins)}
        super().__init__(runtime.run, endpoints, endpoints)


class EngineIOApp(_PathApp):
    """Engine.IO for a handler of messages.

    Args:
        open_handler: called with each new connection's `Link`; makes what takes its messages.
        settings: bounds and times.
        path: where it answers.
        allowed_origins: browser origins that may connect; "*" for any.
    """

    def __init__(
        self,
        open_handler: Callable[[Link], MessageHandler],
        *,
        settings: Settings | None = None,
        path: str = "/engine.io/",
        allowed_origins: Sequence[str] = ("*",),
    ) -> None:
        runtime = Runtime(settings or Settings())
        endpoints = {path.rstrip("/"): EngineEndpoint(runtime, open_handler, allowed_origins)}
        super().__init__(runtime.run, endpoints, endpoints)


def _path(name: str, given: Any) -> str:
    path = given.rstrip("/") if isinstance(given, str) else ""
    if not path.startswith("/"):
        raise UsageError(f"{name}: {given!r} is not a path such as /ws")
    return path


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await PlainTextResponse("Not Found", 404)(scope, receive, send)
    else:
        await receive()
        await send({"type": "websocket.close"})
