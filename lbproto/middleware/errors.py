"""The outermost middleware: every failure becomes an error envelope."""

from __future__ import annotations

import logging
from secrets import token_hex

from lbproto.context import Context
from lbproto.errors import (
    InsufficientCredits,
    Internal,
    InvalidRequest,
    RateLimited,
    RequestError,
)
from lbproto.events import ErrorEvent, Event
from lbproto.logging.fields import log_fields
from lbproto.messages import CreditsInsufficient, Error, RateLimitError, ValidationError
from lbproto.middleware import Endpoint

__all__ = ["error_event", "errors", "request_fields"]

logger = logging.getLogger(__name__)


async def errors(ctx: Context, call_next: Endpoint) -> None:
    """Answer a failed request with an error envelope; only cancellation is raised further.

    A failure that is ours is told as `INTERNAL` with an incident id, and logged under the same id;
    what it was is not shown to the client, but for the words of an `Internal`.
    """
    try:
        await call_next(ctx)
        ctx.settle()
    except InsufficientCredits as error:  # in every domain by the same event
        ctx.refuse_for(error, _insufficient(ctx, error))
    except Internal as error:
        ctx.refuse(error_event(ctx, _incident(ctx, error, error.message, error.retry_after)))
    except RequestError as error:
        ctx.refuse(error_event(ctx, error))
    except Exception as error:  # noqa: BLE001 - logged, with all that is known of it
        ctx.refuse(error_event(ctx, _incident(ctx, error, "Something failed on our side")))


def _incident(
    ctx: Context, error: Exception, told: str, retry_after: float | None = None
) -> Internal:
    """Log a failure that is ours, and have it reported; what the client is told of it."""
    incident = token_hex(8)
    logger.error(
        "incident %s in %r",
        incident,
        ctx.inbound.shown_name,
        exc_info=error,
        extra={"incident": incident, **log_fields(ctx)},
    )
    try:
        ctx.report(incident)
    except Exception:
        logger.exception("incident %s could not be reported", incident)
    return Internal(f"{told}; incident {incident}", retry_after=retry_after)


def error_event(ctx: Context, error: RequestError) -> ErrorEvent:
    """The event that tells the client of this error."""
    return _event_class(ctx, error).of(error, **request_fields(ctx))


def _insufficient(ctx: Context, error: InsufficientCredits) -> CreditsInsufficient:
    return CreditsInsufficient(
        required=error.required, available=error.available, action=ctx.inbound.shown_name
    )


def _event_class(ctx: Context, error: RequestError) -> type[ErrorEvent]:
    if isinstance(error, RateLimited):
        return RateLimitError
    if ctx.route is None or ctx.request is None:
        return ValidationError if isinstance(error, InvalidRequest) else Error
    if ctx.refused is not None:
        return ctx.refused
    return ValidationError if isinstance(error, InvalidRequest) else Error


def request_fields(ctx: Context) -> dict[str, object]:
    """What an event may repeat: the request's fields, its name, and the id of its job."""
    request: Event | None = ctx.request
    fields: dict[str, object] = {}
    if request is not None:
        fields = {name: getattr(request, name) for name in request.__struct_fields__}
    fields["event"] = ctx.inbound.shown_name
    if ctx.job is not None:
        fields[ctx.job.policy.stages.id] = ctx.job.id
    return fields
