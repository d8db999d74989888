"""The composition root: combines plugins, backends and authentication, and runs them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from threading import get_ident
from typing import TYPE_CHECKING, Any

from lbproto.assembly import Parts
from lbproto.auth import Authenticate, Authenticator
from lbproto.backends.base import PubSub, Storage
from lbproto.backends.memory import MemoryStorage
from lbproto.clock import Clock, SystemClock
from lbproto.connection.runtime import Runtime
from lbproto.context import NO_CREDITS
from lbproto.credits.accounts import Credits
from lbproto.emitting import Emitting
from lbproto.errors import UsageError
from lbproto.ledger.store import LedgerStore
from lbproto.limits.throttle import Limits
from lbproto.middleware import Middleware
from lbproto.moderation import Moderation
from lbproto.operations.health import Health, HealthChecks
from lbproto.operations.statistics import (
    OutboxStatistics,
    RoomStatistics,
    ServerStatistics,
    SessionStatistics,
)
from lbproto.plugin import Plugin, register_all
from lbproto.registry import Registry
from lbproto.scheduling.tasks import background_tasks
from lbproto.sessions.admission import Admission
from lbproto.sessions.recovery import Recovery
from lbproto.sessions.session import Session
from lbproto.validation import options
from lbproto.validation.mistakes import check_seconds
from lbproto.wire.settings import Settings

if TYPE_CHECKING:
    from lbproto.asgi.app import ServerApp
    from lbproto.asgi.probes import Probes
    from lbproto.asgi.types import ASGIApp
    from lbproto.telemetry import Telemetry

__all__ = ["Server"]


class Server(Moderation, Emitting):
    """A real-time server: plugins on the wire.

    Args:
        plugins: the events it serves, besides those of the System domain.
        auth: verifies who connects: an authenticator, or an async function of that kind.
        admission: the host's policy: who may connect, and for how long.
        recovery: how long sessions wait for clients that have lost their connection; None for not
            at all.
        limits: rate limits of sessions and users; None for no limit.
        settings: bounds and timeouts of the wire.
        namespaces: Socket.IO namespaces that all lead to this same application.
        allowed_origins: browser origins that may connect; "*" for any (tokens are not cookies,
            so a foreign page has none to abuse).
        max_rooms: rooms a session may be in at a time.
        max_jobs: jobs that a user may have at a time.
        request_timeout: seconds that a handler may take, unless it has a `timeout` of its own; then
            its request is refused by `TIMEOUT`. None for any time. Not for jobs.
        middleware: the host's own, inside error handling, outside decoding.
        storage: where records live; in memory by default. In a durable one jobs are recorded, so
            that clients are told of those that end with the server.
        pubsub: connects this node to others; by default it is alone.
        credits: the store of credit accounts; needed by plugins whose requests have a price.
        telemetry: traces requests, and measures the server; None for neither.
        clock: the source of time; a virtual one in tests.
        strict: raise when an event is emitted that no plugin declared, or to a room that none did.
            On by default unless Python runs with -O.

    Attributes:
        plugins: the System domain's, and those given.
        registry: everything that the plugins declare.
        clock, storage: those given, or the default ones; for plugins' lifespans.
        settings, namespaces, allowed_origins: likewise; for the edges.
        recovery, limits, max_rooms, max_jobs, request_timeout: as given; for descriptions.
        runtime: the connections on this node; for the edges.
        sessions: the sessions on this node; for the edges.
        checks: the health checks of this node; for the edges.
        incidents: called with each request that fails internally, and the incident's id.

    Raises:
        UsageError: two plugins clash, or have the same name; one has a price, and there are no
            credits; or an argument has a wrong type.
    """

    def __init__(
        self,
        plugins: Iterable[Plugin] = (),
        *,
        auth: Authenticator | Authenticate,
        admission: Admission | None = None,
        recovery: Recovery | None = Recovery(),  # noqa: B008 - it is immutable
        limits: Limits | None = None,
        settings: Settings | None = None,
        namespaces: Iterable[str] = ("/", "/ws"),
        allowed_origins: Sequence[str] = ("*",),
        max_rooms: int = 128,
        max_jobs: int = 16,
        request_timeout: float | None = None,
        middleware: Iterable[Middleware] = (),
        storage: Storage | None = None,
        pubsub: PubSub | None = None,
        credits: LedgerStore | None = None,  # noqa: A002 - the name of the domain
        telemetry: Telemetry | None = None,
        clock: Clock | None = None,
        strict: bool = __debug__,
    ) -> None:
        self.settings = settings or Settings()
        self.clock = clock or SystemClock()
        self.storage = storage or MemoryStorage(self.clock)
        self.registry = Registry(strict=strict)
        runtime = Runtime(self.settings, self.clock)
        self.namespaces = options.namespaces(namespaces)
        self.allowed_origins = options.texts("allowed_origins", allowed_origins)
        self.recovery, self.limits = recovery, limits
        self.max_rooms = options.bound("max_rooms", max_rooms)
        self.max_jobs = options.bound("max_jobs", max_jobs)
        check_seconds("request_timeout", request_timeout)
        self.request_timeout = request_timeout
        self._telemetry = telemetry
        parts = self._parts = Parts(
            self.registry,
            runtime,
            auth=options.authenticate(auth),
            admission=admission or Admission(),
            recovery=recovery,
            limits=limits,
            max_rooms=self.max_rooms,
            max_jobs=self.max_jobs,
            request_timeout=self.request_timeout,
            middleware=options.middleware(middleware),
            storage=self.storage,
            pubsub=pubsub,
            credits=credits,
            telemetry=telemetry,
            clock=self.clock,
        )
        Moderation.__init__(self, parts.sessions, parts.membership, parts.bans, parts.control)
        Emitting.__init__(self, runtime, parts.hub, parts.acknowledgements)
        self.incidents = parts.services.incidents
        self.checks = HealthChecks(runtime, parts.pubsub, self.storage)
        self.plugins = (parts.system, *options.plugins(plugins))
        register_all(self.plugins, self.registry, has_credits=credits is not None)
        self._started = False

    # For the host

    def asgi(
        self,
        fallback: ASGIApp | None = None,
        probes: Probes | None = None,
        *,
        socketio_path: str = "/socket.io/",
        websocket_path: str | None = "/ws",
    ) -> ServerApp:
        """This server as an ASGI app: its two wires, each at a path, and its lifespan.

        Args:
            fallback: the host's app: gets every other path, and its lifespan is run too.
            probes: where health probes are; by default at `/healthz` and `/readyz`, but nowhere if
                there is a `fallback`, which may have its own.
            socketio_path: where Socket.IO is spoken; what clients give as their `path`.
            websocket_path: where plain WebSocket is; None for nowhere.

        Raises:
            UsageError: a path does not begin with "/", or is that alone; or two are the same.
        """
        from lbproto.asgi.app import ServerApp

        return ServerApp(
            self, fallback, probes, socketio_path=socketio_path, websocket_path=websocket_path
        )

    @asynccontextmanager
    async def lifespan(self, app: Any = None) -> AsyncIterator[None]:  # noqa: ARG002 - a host's
        """Run the server inside the `async with`; give it to a host app as its `lifespan=`.

        Args:
            app: the host app, as hosts pass it; not used.

        Raises:
            UsageError: the server runs already.
        """
        if self._started:  # before the backends are entered: they are those of the one that runs
            raise UsageError("this lbproto server runs already: start it once per process")
        self._started = True
        parts = self._parts
        parts.jobs.stops_within = None
        try:
            async with parts.resources(), background_tasks() as tasks:
                tasks.start_soon(parts.hub.run)
                tasks.start_soon(parts.inflow.run)
                if parts.holds is not None:
                    tasks.start_soon(parts.holds.run)
                try:
                    async with (
                        parts.control.held(),
                        parts.handover.held(),
                        self.runtime.run(),
                        AsyncExitStack() as stack,
                    ):
                        self._thread = get_ident()
                        if self._telemetry is not None:
                            stack.enter_context(self._telemetry.observing(self.statistics))
                        for plugin in self.plugins:
                            if plugin.lifespan is not None:
                                await stack.enter_async_context(plugin.lifespan(self))
                        yield
                finally:
                    self.sessions.end_all()
        finally:
            self._started, self._thread = False, None

    @property
    def credits(self) -> Credits:
        """Credits of the users: grants, adjustments, balances, histories.

        Raises:
            UsageError: the server keeps no credits.
        """
        if self._parts.credits is None:
            raise UsageError(NO_CREDITS)
        return self._parts.credits

    async def drain(self, seconds: float) -> None:
        """Refuse new connections, and close the open ones spread over `seconds`.

        Each session is sent `server_draining {retryAfter}` at once, and its connection is closed
        by then: in random order, a batch every tenth of a second, so that clients do not all come
        back in one moment. Stock clients come back by themselves. A request that is being served
        is finished first, if it can be within the time; a job ends with `OVERLOADED` when it is its
        connection's turn, and none is begun any more. Returns when nobody is connected, at the
        latest two seconds after the time is up: by then, whoever is left has been cut off.

        A second call does not begin anew: it waits too, and if its time is up first, that is the
        end for everybody.

        Args:
            seconds: 0 or more.
        """
        self._parts.jobs.stops_within = seconds
        await self.runtime.drain(seconds, self._parts.notices.draining)

    async def close(self) -> None:
        """Refuse new connections, and close the open ones at once, without notice.

        What is queued is sent first, as far as clients take it within two seconds. Leaving the
        lifespan does this too; call it where your web server waits for open requests before that.
        """
        await self.runtime.drain(0)

    # How it is

    @property
    def ready(self) -> bool:
        """Whether it accepts connections and hears other nodes; False while draining."""
        return self.runtime.accepting and self._parts.pubsub.ready

    async def health(self) -> Health:
        """This node's health, with a reason for each failed check; also asks the storage."""
        return await self.checks.look()

    def statistics(self) -> ServerStatistics:
        """The server's statistics. Visits every open connection: once a second is fine."""
        return self._parts.census.take()

    def room_statistics(self, room: str) -> RoomStatistics:
        """A room's statistics; all zeros if nobody is in it."""
        return self._membership.statistics(room)

    def session_statistics(self, session: Session) -> SessionStatistics:
        """A session's statistics."""
        socket = session.socket
        return SessionStatistics(
            away=socket is None,
            rooms=len(self._membership.rooms(session)),
            outbox=OutboxStatistics() if socket is None else socket.statistics(),
        )
