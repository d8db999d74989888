"""From a server to its contract."""

from __future__ import annotations

import inspect
from functools import partial
from math import inf

from lbproto.contract.model import (
    Code,
    Contract,
    Emitted,
    Lifecycle,
    Limits,
    Price,
    Request,
    Room,
    Window,
)
from lbproto.contract.schemas import components
from lbproto.errors import BY_CODE
from lbproto.events import ErrorEvent, Event, camel_case
from lbproto.jobs.stages import JobPolicy
from lbproto.limits.windows import Window as LimitWindow
from lbproto.messages import Error
from lbproto.registry import Route
from lbproto.server import Server

__all__ = ["describe"]


def describe(server: Server, *, title: str = "lbproto", version: str = "0") -> Contract:
    """The contract of a server; it need not run.

    Args:
        server: its plugins, limits and bounds are what is described.
        title: what the host calls it.
        version: the host's, of this contract.

    Raises:
        UsageError: an event has a field of a type that no schema can describe.
    """
    registry = server.registry
    routes, emissions = list(registry.routes.values()), list(registry.emissions.values())
    classes = [route.request for route in routes] + [sent.event for sent in emissions]
    once = [route.request for route in routes if not route.repeatable]
    names, schemas = components(classes, once)
    requests, events = names[: len(routes)], names[len(routes) :]
    serve = partial(_request, timeout=server.request_timeout)
    return Contract(
        title=title,
        version=version,
        requests=tuple(map(serve, routes, requests)),
        events=tuple(
            Emitted(
                event=sent.event.event_name,
                schema=schema,
                plugin=sent.plugin,
                overflow=sent.policy.overflow.value,
                error=issubclass(sent.event, ErrorEvent),
            )
            for sent, schema in zip(emissions, events, strict=True)
        ),
        rooms=tuple(
            Room(
                pattern=room.pattern,
                plugin=room.plugin,
                first=tuple(event.event_name for event in room.first),
                refused=(room.refused or Error).event_name,
                announces=room.announce,
                automatic=room.automatic,
                example=room.example,
            )
            for room in registry.rooms
        ),
        codes=_codes(),
        limits=_limits(server),
        schemas=schemas,
    )


def _request(route: Route, schema: str, timeout: float | None) -> Request:
    job = None if route.job is None else _lifecycle(route.job)
    timeout = None if job else route.timeout or timeout
    price: Price | None = None
    if route.price is not None:
        price = route.price if isinstance(route.price, int) else "varies"
    return Request(
        event=route.request.event_name,
        schema=schema,
        plugin=route.plugin,
        answers=tuple(event.event_name for event in route.answers),
        refused=(route.refused or Error).event_name,
        price=price,
        weight=route.weight,
        counted=route.counted,
        repeatable=route.repeatable,
        timeout=None if timeout == inf else timeout,
        job=job,
    )


def _lifecycle(policy: JobPolicy) -> Lifecycle:
    stages = policy.stages
    return Lifecycle(
        failure=stages.failure.event_name,
        start=_name(stages.start),
        progress=_name(stages.progress),
        output=_name(stages.output),
        before_terminal=_name(stages.before_terminal),
        success=_name(stages.success),
        closes=stages.closing is not None,
        id=camel_case(stages.id),
        group=None if stages.group is None else camel_case(stages.group),
        waiting=stages.waiting,
        timeout=policy.timeout,
    )


def _name(event: type[Event] | None) -> str | None:
    return None if event is None else event.event_name


def _codes() -> dict[str, Code]:
    return {
        code: Code(retryable=error.code.retryable, meaning=inspect.getdoc(error) or "")
        for code, error in BY_CODE.items()
    }


def _limits(server: Server) -> Limits:
    limits, recovery = server.limits, server.recovery
    per_session = None if limits is None else limits.per_session
    tiers = {} if limits is None else limits.tiers
    return Limits(
        tiers={name: tuple(map(_window, tier.windows)) for name, tier in tiers.items()},
        default_tier=None if limits is None else limits.default,
        per_session=None if per_session is None else _window(per_session),
        max_rooms=server.max_rooms,
        max_jobs=server.max_jobs,
        max_payload=server.settings.max_payload,
        resumable=None if recovery is None else recovery.window,
    )


def _window(window: LimitWindow) -> Window:
    return Window(number=window.number, seconds=window.seconds, burst=window.burst)
