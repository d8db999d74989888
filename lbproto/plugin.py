"""Plugins: what a domain adds to a server, declared by a factory.

What is declared is looked at once, where it is declared: what is wrong fails at start-up with a
sentence that says what is expected, never at the first request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from lbproto.context import NO_CREDITS, Context
from lbproto.errors import UsageError
from lbproto.events import ErrorEvent, Event
from lbproto.jobs.job import Job
from lbproto.jobs.stages import JobPolicy, Stages
from lbproto.messages import Subscribe
from lbproto.overflow import OverflowPolicy, disconnect
from lbproto.registry import Counted, Emission, Registry, RoomPattern, Route
from lbproto.validation.declarations import (
    check_lifespan,
    check_occupancy,
    check_price,
    check_refusal,
    check_request,
    check_stages,
    check_weight,
)
from lbproto.validation.mistakes import check_class, check_seconds
from lbproto.validation.signatures import Signature

if TYPE_CHECKING:
    from lbproto.server import Server

__all__ = ["Lifespan", "Plugin", "register_all"]

Lifespan = Callable[["Server"], AbstractAsyncContextManager[Any]]
P = ParamSpec("P")
R = TypeVar("R", bound=Event)
E = TypeVar("E", bound=Event)
A = TypeVar("A", bound=Event | None)

Handler = Callable[[Context, R], Coroutine[Any, Any, A]]
JobHandler = Callable[[Job[R]], Coroutine[Any, Any, A]]
Join = Callable[Concatenate[Context, P], Coroutine[Any, Any, A]]


class Plugin:
    """A domain's requests, events and rooms.

    Args:
        name: unique in a server.
        description: one line about it, for people: what it serves, and whether that is live.
        lifespan: `lifespan(server)` is an async context manager that the server enters when it
            starts and leaves when it stops: for feeds, pools, and tasks in a task group of its own.
    """

    def __init__(
        self, name: str, *, description: str = "", lifespan: Lifespan | None = None
    ) -> None:
        check_lifespan(lifespan, name)
        self.name = name
        self.description = description
        self.lifespan = lifespan
        self._routes: list[Route] = []
        self._rooms: list[RoomPattern] = []
        self._emissions: list[Emission] = []
        self._is_served = False

    def on(
        self,
        request: type[R],
        *,
        refused: type[ErrorEvent] | None = None,
        repeatable: bool = False,
        weight: int = 1,
        counted: Counted = "user",
        price: int | Callable[[R], int | Awaitable[int]] | None = None,
        timeout: float | None = None,
    ) -> Callable[[Handler[R, A]], Handler[R, A]]:
        """Declare what answers a request.

        The decorated function is `async (ctx: Context, request: Request) -> Answer`; the events
        that its return annotation names are declared with it. None sends no answer.

        Args:
            request: the event a client sends.
            refused: the event that carries a refusal; by default `validation_error` or `error`.
            repeatable: serve a repeat (a request with the same `requestId` of the same user) like
                any other, because it does no harm, or is about the session that asks; by default
                it is answered as the first was, and the handler does not run.
            weight: how many requests it counts as, against the server's `Limits`.
            counted: against which limits: the user's and the session's, or only the session's.
            price: credits that are set aside before the handler runs, and spent when it has: a
                number of 0 or more, or a function of the request, `async` or not. Where the handler
                calls `ctx.charge`, it is what is set aside at first. The server needs `credits=`.
            timeout: seconds that the handler may take; then it is cancelled, and the request is
                refused by `TIMEOUT`. None for the server's `request_timeout`, and `math.inf` for
                any time; its client's next requests wait meanwhile.

        Raises:
            UsageError: the function has another signature, an argument has a wrong type, or the
                plugin is part of a server already.
        """
        check_request(request, "on(Order)")
        check_refusal(refused, request)
        check_weight(weight, request)
        check_price(price)
        check_seconds("timeout", timeout)

        def register(handler: Handler[R, A]) -> Handler[R, A]:
            signature = Signature.of(handler)
            expected = f"(ctx: Context, request: {request.__name__})"
            signature.expect(expected, Context, request)
            self.emits(*signature.events, *_given(refused))
            route = Route(
                request,
                handler,
                refused,
                self.name,
                repeatable,
                price,
                weight=weight,
                counted=counted,
                answers=tuple(signature.events),
                timeout=timeout,
            )
            self._routes.append(route)
            return handler

        return register

    def job(
        self,
        request: type[R],
        *,
        stages: Stages,
        weight: int = 1,
        price: int | Callable[[R], int | Awaitable[int]] | None = None,
        timeout: float | None = None,
    ) -> Callable[[JobHandler[R, A]], JobHandler[R, A]]:
        """Declare what answers a request that takes long: as a job, with events of its own.

        The decorated function is `async (job: Job[Request]) -> Success`, where `Success` is the
        event that `stages` names, or nothing. It runs in a task of its own, whose cancellation is
        its end; the session that asks goes on meanwhile, and may lose its connection.

        Args:
            request: the event a client sends.
            stages: the events that tell how the job goes; declared with it.
            weight: as for `on`.
            price: as for `on`; where the handler charges, the rest is given back at the end.
            timeout: seconds that it may take; then it fails with `TIMEOUT`. None for no limit.

        Raises:
            UsageError: as for `on`; or an event that lbproto has to make cannot be made of the id
                and the request.
        """
        check_request(request, "job(Order, stages=Stages(...))")
        check_stages(stages, request)
        check_weight(weight, request)
        check_price(price)
        check_seconds("timeout", timeout)

        def register(handler: JobHandler[R, A]) -> JobHandler[R, A]:
            signature = Signature.of(handler)
            annotation: Any = Job[request]  # type: ignore[valid-type] # a class known when it runs
            signature.expect(f"(job: Job[{request.__name__}])", annotation)
            if signature.events != _given(stages.success):
                expected = "None" if stages.success is None else stages.success.__qualname__
                raise UsageError(f"{signature.name} must return {expected}, by its stages")
            self.emits(*stages.events)
            policy = JobPolicy(stages, stages.makes_start(request), timeout)
            self._routes.append(
                Route(
                    request,
                    handler,
                    stages.failure,
                    self.name,
                    price=price,
                    job=policy,
                    weight=weight,
                )
            )
            return handler

        return register

    def room(
        self,
        pattern: str,
        *,
        announce: bool = True,
        refused: type[ErrorEvent] | None = None,
        example: str = "",
        occupancy: Callable[..., None] | None = None,
        automatic: bool = False,
    ) -> Callable[[Join[P, A]], Join[P, A]]:
        """Declare a family of rooms that clients may subscribe to.

        The decorated function is `async (ctx: Context, <placeholder>: str, ...) -> FirstMessage`.
        It decides who gets in: it raises a `RequestError` to refuse. What it returns is sent to
        the newcomer as the room's first message; what is published to the room while it runs is
        taken to be contained in that (see `Context.mark_snapshot`).

        Args:
            pattern: `market:{symbol}`; a placeholder matches anything but ":", and that too where
                it has a star: `user:{user_id*}`.
            announce: whether members are told of users who join and leave.
            refused: the event that carries a refusal; by default `error`.
            example: a room of this family that there is, for documentation and for trying out.
            occupancy: called as `(occupied, **placeholders)` when the first session on this node is
                in a room (True), and when the last one has left it (False): for what runs only
                while somebody looks. A session that has lost its connection is in until its grace
                has passed. Not async; it returns at once, and what it raises is only logged.
            automatic: whether every new session joins by itself, as if its client had subscribed
                first of all. A placeholder `{user_id*}` stands for whose it is; there is no other.

        Raises:
            UsageError: the function, or `occupancy`, has another signature; no room has a name
                like that; or an automatic room has another placeholder.
        """
        check_refusal(refused, Subscribe)

        def register(join: Join[P, A]) -> Join[P, A]:
            signature = Signature.of(join)
            room = RoomPattern(
                pattern,
                join,
                announce,
                refused,
                self.name,
                example,
                occupancy,
                first=tuple(signature.events),
                automatic=automatic,
            )
            placeholders = room.placeholders
            check_occupancy(occupancy, placeholders)
            arguments = "".join(f", {name}: str" for name in placeholders)
            expected = f"(ctx: Context{arguments}) for rooms {pattern!r}"
            signature.expect(expected, Context, **dict.fromkeys(placeholders, str))
            self.emits(*signature.events, *_given(refused))
            self._rooms.append(room)
            return join

        return register

    def emits(self, *events: type[Event], overflow: OverflowPolicy = disconnect) -> None:
        """Declare events that this plugin sends.

        Args:
            overflow: what a slow client's full outbox does with them.

        Raises:
            UsageError: they are not classes of events, or the plugin is part of a server already.
        """
        if self._is_served:
            raise UsageError(
                f"plugin {self.name!r} is part of a server already, which would not serve this: "
                "declare it before Server(...)"
            )
        for event in events:
            check_class(event, "plugin.emits takes classes of events, as in plugin.emits(Order)")
        self._emissions.extend(Emission(event, overflow, self.name) for event in events)

    def register(self, registry: Registry) -> None:
        """Add everything declared here to a server's registry.

        Raises:
            UsageError: something clashes with another plugin.
        """
        check_lifespan(self.lifespan, self.name)  # it may have been set since
        self._is_served = True
        for emission in self._emissions:
            registry.add_emission(emission)
        for route in self._routes:
            registry.add_route(route)
        for room in self._rooms:
            registry.add_room(room)


def register_all(plugins: Iterable[Plugin], registry: Registry, *, has_credits: bool) -> None:
    """Have the plugins of a server declare what they can do.

    Raises:
        UsageError: two clash, or have the same name; or one has a price, and there are no credits.
    """
    names: set[str] = set()
    for plugin in plugins:
        if plugin.name in names:
            raise UsageError(f"two plugins are called {plugin.name!r}")
        names.add(plugin.name)
        plugin.register(registry)
    for name, route in registry.routes.items():
        if route.price is not None and not has_credits:
            raise UsageError(f"{name!r} of plugin {route.plugin!r} has a price, but {NO_CREDITS}")


def _given(event: type[E] | None) -> list[type[E]]:
    return [] if event is None else [event]
