"""The composition root: plugins, backends and authentication, put together and run."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from lbproto.auth import Authenticator, strip_bearer
from lbproto.backends.base import PubSub, Storage
from lbproto.backends.memory import MemoryPubSub, MemoryStorage
from lbproto.clock import Clock, SystemClock, iso_timestamp
from lbproto.connection.runtime import Runtime
from lbproto.context import Services, Target
from lbproto.dispatch import Dispatcher
from lbproto.errors import ErrorCode, InvalidRequest, Unauthorized, UsageError
from lbproto.events import Model
from lbproto.hub import Hub
from lbproto.membership import Membership
from lbproto.messages import Connected
from lbproto.middleware import Middleware
from lbproto.plugin import Plugin
from lbproto.registry import Registry
from lbproto.rooms import Rooms
from lbproto.session import Session, personal_room
from lbproto.system import system
from lbproto.tasks import background_tasks
from lbproto.wire.arguments import Arguments
from lbproto.wire.port import Inbound, Refused, Socket
from lbproto.wire.settings import Settings

if TYPE_CHECKING:
    from lbproto.asgi.app import ServerApp
    from lbproto.asgi.types import ASGIApp

__all__ = ["Server"]

logger = logging.getLogger(__name__)


class _Auth(Model):
    token: str = ""


class Server:
    """A real-time server: plugins on the wire.

    Args:
        plugins: what it can do, besides the System domain.
        auth: who may connect.
        settings: bounds and times of the wire.
        namespaces: Socket.IO namespaces that all lead to this same application.
        allowed_origins: browser origins that may connect; "*" for any (tokens are not cookies,
            so a foreign page has none to abuse).
        max_rooms: rooms a session may be in at a time.
        middleware: the host's own, inside error handling, outside decoding.
        storage: where records live; in memory by default.
        pubsub: the way to the other nodes; by default there are none.
        clock: where time comes from.
        strict: raise when an event is emitted that no plugin declared. On by default unless
            Python runs with -O.

    Raises:
        UsageError: two plugins clash, or have the same name.
    """

    def __init__(
        self,
        plugins: Iterable[Plugin] = (),
        *,
        auth: Authenticator,
        settings: Settings | None = None,
        namespaces: Iterable[str] = ("/", "/ws"),
        allowed_origins: Sequence[str] = ("*",),
        max_rooms: int = 128,
        middleware: Iterable[Middleware] = (),
        storage: Storage | None = None,
        pubsub: PubSub | None = None,
        clock: Clock | None = None,
        strict: bool = __debug__,
    ) -> None:
        self.settings = settings or Settings()
        self.clock = clock or SystemClock()
        self.storage = storage or MemoryStorage(self.clock)
        self.registry = Registry(strict=strict)
        self.runtime = Runtime(self.settings, self.clock)
        self.namespaces = frozenset(namespaces)
        self.allowed_origins = tuple(allowed_origins)
        self._auth = auth
        self._started = False
        self._pubsub = pubsub or MemoryPubSub()
        rooms = Rooms(self.settings.max_queued_frames, self.settings.max_queued_bytes)
        self._hub = Hub(rooms, self.registry, self._pubsub)
        self._membership = Membership(self.registry, rooms, self._hub, self.clock, max_rooms)
        self.plugins = (system(self._membership, self.clock), *plugins)
        self._register()
        services = Services(self._hub, self.storage, self.clock)
        self._dispatcher = Dispatcher(self.registry, services, middleware)

    def _register(self) -> None:
        names: set[str] = set()
        for plugin in self.plugins:
            if plugin.name in names:
                raise UsageError(f"two plugins are called {plugin.name!r}")
            names.add(plugin.name)
            plugin.register(self.registry)

    # For the host

    def asgi(self, fallback: ASGIApp | None = None) -> ServerApp:
        """This server as an ASGI app: `/socket.io/` and `/ws`, and its lifespan.

        Args:
            fallback: the host's app: gets every other path, and its lifespan is run too.
        """
        from lbproto.asgi.app import ServerApp

        return ServerApp(self, fallback)

    @asynccontextmanager
    async def lifespan(self, app: Any = None) -> AsyncIterator[None]:  # noqa: ARG002 - a host's
        """Run the server inside the `async with`; give it to a host app as its `lifespan=`.

        Args:
            app: the host app, as hosts pass it; not used.

        Raises:
            UsageError: it runs already.
        """
        if self._started:  # before the backends are entered: they are those of the one that runs
            raise UsageError("this lbproto server runs already: start it once per process")
        self._started = True
        try:
            async with self.storage, self._pubsub, background_tasks() as tasks:
                tasks.start_soon(self._hub.run)
                async with self.runtime.run(), AsyncExitStack() as stack:
                    for plugin in self.plugins:
                        if plugin.lifespan is not None:
                            await stack.enter_async_context(plugin.lifespan(self))
                    yield
        finally:
            self._started = False

    async def close(self) -> None:
        """Take no new connections and close those there are; returns when they are closed.

        What is queued is sent first, as far as clients take it within two seconds. They are told
        that the server restarts, and stock clients come back by themselves. Leaving the lifespan
        does this too; call it where your web server waits for open requests before that.
        """
        await self.runtime.close_all()

    def to(self, room: str, *, except_: Sequence[str] = ()) -> Target:
        """A room to emit to, from anywhere in the host's program.

        Args:
            except_: ids of sessions that do not get it.
        """
        return Target(self._hub, room, except_)

    def to_user(self, user_id: str) -> Target:
        """All sessions of a user, to emit to."""
        return self.to(personal_room(user_id))

    # The wire-level port (lbproto.wire.Handler)

    async def authenticate(self, socket: Socket, auth: Arguments) -> None:
        """Verify the token that a client connects with."""
        try:
            token = strip_bearer(auth.first(_Auth).token)
            identity = await self._auth.authenticate(token, socket.peer)
        except (Unauthorized, InvalidRequest) as error:
            code = ErrorCode.UNAUTHORIZED
            raise Refused(error.message, {"code": code, "message": error.message}) from None
        socket.state = Session(identity, socket)

    async def opened(self, socket: Socket) -> None:
        """Put the session into its personal room and tell the client who it is."""
        session = _session(socket)
        await self._membership.admit(session, session.personal_room)
        timestamp = iso_timestamp(int(self.clock.now() * 1000))
        connected = Connected(user_id=session.user_id, sid=session.sid, timestamp=timestamp)
        self._hub.send(session, connected)

    async def event(self, socket: Socket, inbound: Inbound) -> None:
        """Serve one request."""
        await self._dispatcher.dispatch(_session(socket), inbound)

    def closed(self, socket: Socket, reason: str) -> None:
        """Take the session out of its rooms."""
        session = _session(socket)
        logger.debug("session %s is over: %s", session.sid, reason)
        session.end()
        self._membership.leave_all(session)


def _session(socket: Socket) -> Session:
    session = socket.state
    assert isinstance(session, Session)  # noqa: S101 - set before the socket is opened
    return session
