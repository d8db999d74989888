"""What a plugin declares beside its functions, looked at when it is declared."""

from __future__ import annotations

import inspect
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec

from lbproto.errors import UsageError
from lbproto.events import ErrorEvent, Event
from lbproto.jobs.stages import Stages
from lbproto.ledger.account import MAX_AMOUNT
from lbproto.validation.mistakes import check_class, shown
from lbproto.validation.signatures import is_async, takes

__all__ = [
    "check_lifespan",
    "check_occupancy",
    "check_price",
    "check_refusal",
    "check_request",
    "check_stages",
    "check_weight",
]


def check_request(request: Any, decorator: str) -> None:
    """What is answered is told by its class, as in `@plugin.on(Order)`.

    Args:
        decorator: the method's name, and what it needs further.
    """
    check_class(request, f"write @plugin.{decorator}, with the class of the request")


def check_stages(stages: Any, request: type[Event]) -> None:
    """What lbproto has to tell of a job can be made of its request."""
    if not isinstance(stages, Stages):
        raise UsageError(f"stages= takes Stages(failure=..., ...), not {shown(stages)}")
    check_class(stages.failure, "Stages(failure=...) takes a subclass of ErrorEvent", ErrorEvent)
    for stage in stages.events:
        check_class(stage, "Stages(...) takes classes of events")
    stages.check(request)


def check_refusal(refused: type[ErrorEvent] | None, request: type[Event]) -> None:
    """A refusal can always be made: what it needs is in the envelope or in the request."""
    if refused is None:
        return
    check_class(refused, "refused= takes a subclass of ErrorEvent", ErrorEvent)
    known = {*ErrorEvent.__struct_fields__, *request.__struct_fields__, "event"}
    needed = {field.name for field in msgspec.structs.fields(refused) if field.required}
    missing = ", ".join(sorted(needed - known))
    if missing:
        raise UsageError(
            f"{refused.__qualname__} cannot refuse {request.__qualname__}: "
            f"give {missing} a default, or the request a field of that name"
        )


def check_weight(weight: Any, request: type[Event]) -> None:
    """A request counts as one, or as several."""
    if type(weight) is not int or weight < 1:
        raise UsageError(
            f"{request.__qualname__} weighs a whole number of requests, 1 or more, not {weight!r}"
        )


def check_price(price: Any) -> None:
    """A price is credits, or what computes them."""
    if price is None or (callable(price) and takes(price, None)):
        return
    if isinstance(price, bool) or not isinstance(price, int) or not 0 <= price <= MAX_AMOUNT:
        raise UsageError(
            f"a price is a whole number of credits, 0 or more, or a function of the request, "
            f"not {price!r}"
        )


def check_occupancy(function: Any, placeholders: list[str]) -> None:
    """What is told of occupancy is told at once."""
    if function is None:
        return
    listens = callable(function) and not is_async(function)
    if not listens or not takes(function, True, **dict.fromkeys(placeholders)):
        arguments = "".join(f", {name}: str" for name in placeholders)
        raise UsageError(
            f"what is told of occupancy must be a function, not async, with the signature "
            f"(occupied: bool{arguments}), not {function!r}"
        )


def check_lifespan(lifespan: Any, plugin: str) -> None:
    """A lifespan makes what the server can enter, of the server."""
    if lifespan is None:
        return
    if (
        not callable(lifespan)
        or is_async(lifespan)
        or inspect.isasyncgenfunction(lifespan)
        or isinstance(lifespan, AbstractAsyncContextManager)  # called already
        or not takes(lifespan, None)
    ):
        raise UsageError(
            f"the lifespan of plugin {plugin!r} must be an @asynccontextmanager "
            f"`async def lifespan(server): ... yield`, not {shown(lifespan)}"
        )
