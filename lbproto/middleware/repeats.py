"""A request that carries a `requestId` is served once: a repeat joins the first one's outcome."""

from __future__ import annotations

import re
from copy import copy
from typing import Annotated

import msgspec

from lbproto.context import Context
from lbproto.errors import (
    InsufficientCredits,
    Internal,
    InvalidRequest,
    LimitExceeded,
    Overloaded,
    RequestError,
)
from lbproto.events import ErrorEvent
from lbproto.middleware import Endpoint
from lbproto.middleware.errors import error_event
from lbproto.repeats.claims import OTHER, Claims
from lbproto.repeats.outcomes import Key, Outcome, Outcomes, digest_of
from lbproto.validation.reserved import REQUEST_ID
from lbproto.wire.arguments import Inbound

__all__ = ["Repeats", "may_be_a_repeat"]

_MENTION = re.compile(REQUEST_ID.encode())


class _Tagged(msgspec.Struct):
    request_id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = msgspec.field(
        default=None, name=REQUEST_ID
    )


def may_be_a_repeat(inbound: Inbound) -> bool:
    """Whether a request may carry an id; few do, and the others go past this middleware."""
    return inbound.arguments.mentions(_MENTION)


class Repeats:
    """The middleware; inside of it is whatever is to happen once, such as charging.

    Args:
        outcomes: where they are kept.
        claims: what other nodes serve; None where nodes do not tell each other.
    """

    def __init__(self, outcomes: Outcomes, claims: Claims | None) -> None:
        self._outcomes = outcomes
        self._claims = claims

    async def __call__(self, ctx: Context, call_next: Endpoint) -> None:
        """Serve a request, or answer it as its first was answered.

        Raises:
            InvalidRequest: the id is not valid, or was given to another request.
            LimitExceeded: the first one's answer was too large to be kept.
            Overloaded: what other nodes serve cannot be known.
            RequestError: as the first.
        """
        route, arguments = ctx.route, ctx.inbound.arguments
        request_id = arguments.first(_Tagged).request_id
        if route is None or request_id is None:
            await call_next(ctx)
            return
        ctx.request = request = arguments.first(route.request)
        key = Key(ctx.user_id, route.request.event_name, request_id)
        digest = digest_of(request)
        outcome = self._outcomes.find(key, ctx.clock.monotonic())
        if outcome is None:
            ctx.repeat = request_id, digest
            outcome = self._outcomes.begin(key, digest)
            if not await self._was_served_elsewhere(ctx, key, outcome):
                ctx.record(outcome)
                outcome.begin(ctx.job)
                await self._serve_claimed(ctx, call_next, key, outcome)
                return
        if outcome.digest != digest:
            raise InvalidRequest(OTHER)
        await _join(ctx, outcome)

    async def _was_served_elsewhere(self, ctx: Context, key: Key, outcome: Outcome) -> bool:
        """Whether another node has served the request; the outcome is as it was there then."""
        if self._claims is None:
            return False
        outcome.final = False  # that it cannot be known is nothing to keep
        try:
            found = await self._claims.claim(key, outcome.digest)
        except BaseException as error:
            known = copy(error) if isinstance(error, RequestError) else _cut_off()
            self._outcomes.settle(key, known, ctx.clock.monotonic())
            raise
        outcome.final = True
        if found is None:
            return False
        outcome.answers, outcome.size = found.answers, found.size
        self._outcomes.settle(key, found.error, ctx.clock.monotonic())
        return True

    async def _serve_claimed(
        self, ctx: Context, call_next: Endpoint, key: Key, outcome: Outcome
    ) -> None:
        try:
            await self._serve(ctx, call_next, key, outcome)
        except GeneratorExit:  # nothing can be waited for: the claim ends with our lease
            raise
        except BaseException:
            if self._claims is not None:
                await self._claims.settle(key, outcome)
            raise
        if self._claims is not None:
            await self._claims.settle(key, outcome)

    async def _serve(self, ctx: Context, call_next: Endpoint, key: Key, outcome: Outcome) -> None:
        error: RequestError | None = _cut_off()
        try:
            await call_next(ctx)
            error = None
        except RequestError as refusal:
            error = copy(refusal)  # without its traceback, and all that hangs on that
            if isinstance(error, InsufficientCredits) and not ctx.delivered:
                outcome.final = False  # nothing has happened: it may be asked again with more
            elif ctx.job is not None and not isinstance(error, Internal):
                ctx.refuse(error_event(ctx, error))  # now: repeats are told of this job's end
            raise
        except Exception:
            error = Internal("The first request failed on our side: try again")
            raise
        except BaseException:
            outcome.cut_off()
            raise
        finally:
            self._outcomes.settle(key, error, ctx.clock.monotonic())


def _cut_off() -> Overloaded:
    return Overloaded("The first request was cut off: try again")


async def _join(ctx: Context, outcome: Outcome) -> None:
    await outcome.placed.wait()
    job = outcome.job
    if job is not None and not job.ended and not job.reaches(0):
        job.watch(ctx, 0)
        await outcome.settled.wait()
        return
    await outcome.settled.wait()
    error = outcome.error
    if outcome.answers is None and (error is None or not error.code.retryable):
        raise LimitExceeded("The first answer was too large to be kept: ask with another requestId")
    for event, is_refusal in outcome.answers or ():
        if is_refusal:
            assert isinstance(event, ErrorEvent)  # noqa: S101 - nothing else refuses
            ctx.refuse(event)
        else:
            ctx.emit(event)
    if error is not None:
        raise copy(error)
