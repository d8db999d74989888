"""From an event's name to its handler: route, middleware, decoding, handling, answer."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from math import inf
from typing import Any

from anyio import CancelScope

from lbproto.context import Context, Services
from lbproto.credits.holds import Holds
from lbproto.errors import InvalidRequest, RequestTimeout
from lbproto.events import Event
from lbproto.jobs.runner import Jobs, perform
from lbproto.messages import Subscribe
from lbproto.middleware import Middleware, fold
from lbproto.middleware.credits import Charging
from lbproto.middleware.errors import errors
from lbproto.middleware.repeats import Repeats, may_be_a_repeat
from lbproto.registry import Registry, Route
from lbproto.repeats.claims import Claims
from lbproto.repeats.outcomes import Outcomes
from lbproto.scheduling.timers import Timers
from lbproto.sessions.session import Session
from lbproto.validation.mistakes import check_returned
from lbproto.wire.arguments import ObjectArguments
from lbproto.wire.port import Inbound

__all__ = ["Dispatcher"]


class Dispatcher:
    """Serves the requests of every session of one server.

    Args:
        registry: the routes.
        services: the services that contexts give access to.
        middleware: the host's own, between the joining of repeats and decoding, the first
            outermost.
        holds: where credits are set aside for requests with a price; None where none has one.
        jobs: runs requests that are jobs.
        claims: which requests other nodes serve; None where nodes do not tell each other.
        timers: end handlers that take too long.
        timeout: seconds that a handler may take whose route has no timeout of its own; None for any
            time.
        tracing: the outermost middleware; None where nothing is traced.
    """

    def __init__(
        self,
        registry: Registry,
        services: Services,
        middleware: Iterable[Middleware],
        holds: Holds | None,
        jobs: Jobs,
        claims: Claims | None,
        timers: Timers,
        timeout: float | None = None,
        tracing: Middleware | None = None,
    ) -> None:
        self._registry = registry
        self._services = services
        self._jobs = jobs
        self._timers = timers
        self._timeout = inf if timeout is None else timeout
        self._outcomes = Outcomes()
        repeats = Repeats(self._outcomes, claims)
        stack = list(middleware)
        charged: list[Middleware] = stack if holds is None else [*stack, Charging(holds).serve]
        outer = [] if tracing is None else [tracing]
        self._endpoint, self._once, self._charged, self._charged_once = (
            fold([*outer, *inner], self._handle)
            for inner in (stack, [repeats, *stack], charged, [repeats, *charged])
        )

    def context(self, session: Session, request: Event) -> Context:
        """A context for a request that the server makes in a session's name, unasked."""
        inbound = Inbound(request.event_name, ObjectArguments([]), None)
        route = self._registry.routes[request.event_name]
        ctx = Context.of(self._services, session, inbound, route)
        ctx.request = request
        return ctx

    async def welcome(self, session: Session) -> None:
        """Have a new session join the automatic rooms, as if its client had subscribed to them."""
        for pattern in self._registry.rooms:
            if pattern.automatic:  # not decoded: the name may be longer than clients may send one
                request = Subscribe(room=pattern.room_of(session.user_id))
                await errors(self.context(session, request), self._endpoint)

    def dispatch(self, session: Session, inbound: Inbound) -> Coroutine[Any, Any, None]:
        """Serve one request; failures are answered to the client, not raised."""
        route = self._registry.routes.get(inbound.name)
        ctx = Context.of(self._services, session, inbound, route)
        if route is None:
            return errors(ctx, self._endpoint)
        once = not route.repeatable and may_be_a_repeat(inbound)
        if route.price is not None:
            serve = self._charged_once if once else self._charged
        else:
            serve = self._once if once else self._endpoint
        return errors(ctx, serve) if route.job is None else self._jobs.launch(ctx, serve)

    async def _handle(self, ctx: Context) -> None:
        """The innermost endpoint: only here is the payload decoded."""
        route = ctx.route
        if route is None:
            raise InvalidRequest(f"There is no event {ctx.inbound.shown_name!r}")
        if ctx.request is None:
            ctx.request = ctx.inbound.arguments.first(route.request)
        if ctx.job is not None:
            await perform(ctx.job, route)
            return
        seconds = self._timeout if route.timeout is None else route.timeout
        if seconds == inf:
            answer = await route.handler(ctx, ctx.request)
        else:
            answer = await self._handle_within(seconds, ctx, route)
        if isinstance(answer, Event):
            ctx.emit(answer)
        else:
            check_returned(answer, route.handler)

    async def _handle_within(self, seconds: float, ctx: Context, route: Route) -> Event | None:
        when = ctx.clock.monotonic() + seconds
        with CancelScope() as scope, self._timers.deadline(when, scope.cancel):
            return await route.handler(ctx, ctx.request)
        raise RequestTimeout(f"This has taken longer than {seconds:g} s")
