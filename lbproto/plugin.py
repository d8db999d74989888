"""Plugins: what a domain adds to a server, declared by a factory.

A plugin's handlers are looked at once, when they are registered: a wrong signature fails at
start-up with a sentence that says what is expected, never at the first request.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from lbproto.context import NO_CREDITS
from lbproto.errors import UsageError
from lbproto.events import ErrorEvent, Event
from lbproto.jobs.stages import JobPolicy, Stages
from lbproto.ledger.account import MAX_AMOUNT
from lbproto.messages import Subscribe
from lbproto.overflow import OverflowPolicy, disconnect
from lbproto.registry import Counted, Emission, Registry, RoomPattern, Route

if TYPE_CHECKING:
    from lbproto.server import Server

__all__ = ["Lifespan", "Plugin", "register_all"]

Lifespan = Callable[["Server"], AbstractAsyncContextManager[Any]]
F = TypeVar("F", bound=Callable[..., Awaitable[Any]])
R = TypeVar("R", bound=Event)
E = TypeVar("E", bound=Event)


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
        self.name = name
        self.description = description
        self.lifespan = lifespan
        self._routes: list[Route] = []
        self._rooms: list[RoomPattern] = []
        self._emissions: list[Emission] = []

    def on(
        self,
        request: type[R],
        *,
        refused: type[ErrorEvent] | None = None,
        repeatable: bool = False,
        weight: int = 1,
        counted: Counted = "user",
        price: int | Callable[[R], int | Awaitable[int]] | None = None,
    ) -> Callable[[F], F]:
        """Declare what answers a request.

        The decorated function is `async (ctx: Context, request: Request) -> Answer`; the events
        that its return annotation names are declared with it. An answer of None is none.

        Args:
            request: the event a client sends.
            refused: carries a refusal; by default `validation_error` or `error`.
            repeatable: serve a repeat (a request with the same `requestId` of the same user) like
                any other, because it does no harm, or is about the session that asks; by default
                it is answered as the first was, and the handler does not run.
            weight: how much it counts against the server's `Limits`: as this many requests.
            counted: against which limits: the user's and the session's, or only the session's.
            price: credits that are set aside before the handler runs, and spent when it has: a
                number of 0 or more, or a function of the request, `async` or not. Where the handler
                calls `ctx.charge`, it is what is set aside at first. The server needs `credits=`.

        Raises:
            UsageError: the function does not look like that, or the price is none.
        """
        _check_price(price)

        def register(handler: F) -> F:
            hints = _hints(handler)
            parameters = list(inspect.signature(handler).parameters)
            if (
                len(parameters) != 2
                or not _takes(handler, None, None)
                or hints.get(parameters[1], request) is not request
            ):
                raise _wrong(handler, f"(ctx: Context, request: {request.__name__})")
            _check_refusal(refused, request)
            _check_weight(weight, request)
            answers = _events_in(hints.get("return"), handler)
            self.emits(*answers, *_given(refused))
            route = Route(
                request,
                handler,
                refused,
                self.name,
                repeatable,
                price,
                weight=weight,
                counted=counted,
                answers=tuple(answers),
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
    ) -> Callable[[F], F]:
        """Declare what answers a request that takes long: as a job, with events of its own.

        The decorated function is `async (job: Job[Request]) -> Success`, where `Success` is the
        event that `stages` names, or nothing. It runs in a task of its own, whose cancellation is
        its end; the session that asks goes on meanwhile, and may lose its connection.

        Args:
            request: the event a client sends.
            stages: the events that tell how the job goes; declared with it.
            weight: as for `on`.
            price: as for `on`; where the handler charges, the rest is given back at the end.
            timeout: seconds that it may take; then it ends with `TIMEOUT`. None for any time.

        Raises:
            UsageError: the function does not look like that, the price is none, or an event that
                lbproto has to make cannot be made of the id and the request.
        """
        _check_price(price)

        def register(handler: F) -> F:
            hints = _hints(handler)
            if list(inspect.signature(handler).parameters)[1:] or not _takes(handler, None):
                raise _wrong(handler, f"(job: Job[{request.__name__}])")
            _check_weight(weight, request)
            returned = _events_in(hints.get("return"), handler)
            if returned != _given(stages.success):
                expected = "None" if stages.success is None else stages.success.__qualname__
                raise UsageError(f"{handler.__qualname__} must return {expected}, by its stages")
            stages.check(request)
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
    ) -> Callable[[F], F]:
        """Declare a family of rooms that clients may subscribe to.

        The decorated function is `async (ctx: Context, <placeholder>: str, ...) -> FirstMessage`.
        It decides who gets in: it raises a `RequestError` to refuse. What it returns is sent to
        the newcomer as the room's first message; what is published to the room while it runs is
        taken to be contained in that (see `Context.mark_snapshot`).

        Args:
            pattern: `market:{symbol}`; a placeholder matches anything but ":", and that too where
                it has a star: `user:{user_id*}`.
            announce: whether members are told of users who join and leave.
            refused: carries a refusal; by default `error`.
            example: a room of this family that there is, for documentation and for trying out.
            occupancy: called as `(occupied, **placeholders)` when the first session on this node is
                in a room (True), and when the last one has left it (False): for what runs only
                while somebody looks. A session that has lost its connection is in until its grace
                has passed. Not async; it returns at once, and what it raises is only logged.
            automatic: whether every new session joins by itself, as if its client had subscribed
                first of all. A placeholder `user_id` stands for whose it is; there is no other.

        Raises:
            UsageError: the function, or `occupancy`, does not look like that; or an automatic room
                has another placeholder.
        """

        def register(join: F) -> F:
            hints = _hints(join)
            first = _events_in(hints.get("return"), join)
            room = RoomPattern(
                pattern,
                join,
                announce,
                refused,
                self.name,
                example,
                occupancy,
                first=tuple(first),
                automatic=automatic,
            )
            expected = room.placeholders
            _check_occupancy(occupancy, expected)
            if (
                list(inspect.signature(join).parameters)[1:] != expected
                or not _takes(join, None, **dict.fromkeys(expected))
                or any(hints.get(name, str) is not str for name in expected)
            ):
                shown = "".join(f", {name}: str" for name in expected)
                raise _wrong(join, f"(ctx: Context{shown})")
            _check_refusal(refused, Subscribe)
            self.emits(*first, *_given(refused))
            self._rooms.append(room)
            return join

        return register

    def emits(self, *events: type[Event], overflow: OverflowPolicy = disconnect) -> None:
        """Declare events that this plugin sends.

        Args:
            overflow: what a slow client's full outbox does with them.
        """
        self._emissions.extend(Emission(event, overflow, self.name) for event in events)

    def register(self, registry: Registry) -> None:
        """Add everything declared here to a server's registry.

        Raises:
            UsageError: something clashes with another plugin.
        """
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


def _takes(handler: Callable[..., Any], *positional: Any, **named: Any) -> bool:
    """Whether the handler can be called as it will be."""
    try:
        inspect.signature(handler).bind(*positional, **named)
    except TypeError:
        return False
    return True


def _check_refusal(refused: type[ErrorEvent] | None, request: type[Event]) -> None:
    """A refusal can always be made: what it needs is in the envelope or in the request."""
    if refused is None:
        return
    known = {*ErrorEvent.__struct_fields__, *request.__struct_fields__, "event"}
    needed = {field.name for field in msgspec.structs.fields(refused) if field.required}
    missing = ", ".join(sorted(needed - known))
    if missing:
        raise UsageError(
            f"{refused.__qualname__} cannot refuse {request.__qualname__}: "
            f"give {missing} a default, or the request a field of that name"
        )


def _check_occupancy(function: Any, placeholders: list[str]) -> None:
    if function is None:
        return
    listens = callable(function) and not inspect.iscoroutinefunction(function)
    if not listens or not _takes(function, True, **dict.fromkeys(placeholders)):
        shown = "".join(f", {name}: str" for name in placeholders)
        raise UsageError(
            f"what is told of occupancy must be a function, not async, with the signature "
            f"(occupied: bool{shown}), not {function!r}"
        )


def _check_price(price: Any) -> None:
    if price is None or (callable(price) and _takes(price, None)):
        return
    if isinstance(price, bool) or not isinstance(price, int) or not 0 <= price <= MAX_AMOUNT:
        raise UsageError(
            f"a price is a whole number of credits, 0 or more, or a function of the request, "
            f"not {price!r}"
        )


def _check_weight(weight: int, request: type[Event]) -> None:
    if type(weight) is not int or weight < 1:
        raise UsageError(
            f"{request.__qualname__} weighs a whole number of requests, 1 or more, not {weight!r}"
        )


def _hints(handler: Callable[..., Any]) -> dict[str, Any]:
    if not inspect.iscoroutinefunction(handler):
        raise UsageError(f"{handler.__qualname__} must be an async function")
    local = inspect.getclosurevars(handler).nonlocals
    try:
        return get_type_hints(handler, localns={**_callers_names(handler), **local})
    except NameError as error:
        raise UsageError(
            f"the annotations of {handler.__qualname__} cannot be read ({error}): "
            "import the event classes at run time, not under TYPE_CHECKING"
        ) from None


def _callers_names(handler: Callable[..., Any]) -> dict[str, Any]:
    """Names of the function that defines the handler: plugins are made inside factories."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_filename == handler.__code__.co_filename:
            return dict(frame.f_locals)
        frame = frame.f_back
    return {}


def _events_in(annotation: Any, handler: Callable[..., Any]) -> list[type[Event]]:
    parts = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    events = []
    for part in parts:
        if isinstance(part, type) and issubclass(part, Event):
            events.append(part)
        elif part not in (None, NoneType, Any):
            raise UsageError(f"{handler.__qualname__} must return events or None, not {part!r}")
    return events


def _wrong(handler: Callable[..., Any], expected: str) -> UsageError:
    found = inspect.signature(handler)
    return UsageError(f"{handler.__qualname__}{found} must have the signature {expected}")
