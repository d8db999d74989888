"""The System domain: every server has it. Written with the same means as any other plugin."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from lbproto.clock import Clock, iso_timestamp
from lbproto.context import Context
from lbproto.errors import NotFound, Unauthorized
from lbproto.jobs.elsewhere import JobsElsewhere
from lbproto.jobs.lost import LostJobs
from lbproto.jobs.runner import Jobs
from lbproto.messages import (
    AnswersLost,
    Attach,
    Attached,
    Authenticate,
    Cancel,
    Connected,
    CreditBalanceUpdated,
    CreditsDeducted,
    CreditsGranted,
    CreditsInsufficient,
    Error,
    EventsDropped,
    Ping,
    Pong,
    RateLimitError,
    Recovered,
    ServerDraining,
    SessionExpiring,
    SessionLost,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Unsubscribed,
    UserJoinedRoom,
    UserLeftRoom,
    ValidationError,
)
from lbproto.plugin import Plugin
from lbproto.sessions.session import Session

__all__ = ["system"]


Renew = Callable[[Session, str], Awaitable[None]]


def system(
    jobs: Jobs,
    elsewhere: JobsElsewhere,
    lost: LostJobs,
    clock: Clock,
    renew: Renew,
    *,
    has_credits: bool = False,
) -> Plugin:
    """The plugin that answers `ping`, `authenticate`, and what rooms and jobs are asked for.

    Args:
        jobs: the server's.
        elsewhere: those of its users on other nodes.
        lost: those of its users that were lost with their nodes.
        clock: the server's.
        renew: lets a session go on with a newer token.
        has_credits: whether the server keeps credits, and tells of them.
    """
    plugin = Plugin("system")
    plugin.emits(Connected, Recovered, SessionLost, AnswersLost, SessionExpiring, EventsDropped)
    plugin.emits(UserJoinedRoom, UserLeftRoom, ServerDraining)
    plugin.emits(RateLimitError, ValidationError, Error, CreditsInsufficient)
    if has_credits:
        plugin.emits(CreditsDeducted, CreditsGranted, CreditBalanceUpdated)

    @plugin.on(Ping, repeatable=True, counted="session")
    async def ping(ctx: Context, request: Ping) -> Pong:  # noqa: ARG001 - the signature of handlers
        return Pong(timestamp=iso_timestamp(int(clock.now() * 1000)))

    @plugin.on(Subscribe, repeatable=True)
    async def subscribe(ctx: Context, request: Subscribe) -> Subscribed | None:
        await ctx.join(request.room)
        return None

    @plugin.on(Unsubscribe, repeatable=True, counted="session")
    async def unsubscribe(ctx: Context, request: Unsubscribe) -> Unsubscribed | None:
        ctx.leave(request.room)
        return None

    @plugin.on(Authenticate, repeatable=True, counted="session")
    async def authenticate(ctx: Context, request: Authenticate) -> None:
        await renew(ctx.session, request.token)

    @plugin.on(Cancel, repeatable=True, counted="session")
    async def cancel(ctx: Context, request: Cancel) -> None:
        await _cancel(ctx.user_id, request.id, jobs, elsewhere)

    @plugin.on(Attach, repeatable=True)
    async def attach(ctx: Context, request: Attach) -> Attached | None:
        await _take_up(ctx, request, jobs, elsewhere, lost)
        return None

    @plugin.room("user:{user_id*}", announce=False)  # an id is opaque: there may be a ":" in it
    async def personal(ctx: Context, user_id: str) -> None:
        if user_id != ctx.user_id:
            raise Unauthorized("This is another user's personal room")

    return plugin


async def _cancel(user_id: str, id_: str, jobs: Jobs, elsewhere: JobsElsewhere) -> None:
    try:
        jobs.cancel(user_id, id_)
    except NotFound:
        if not await elsewhere.cancel(user_id, id_):
            raise


async def _take_up(
    ctx: Context, request: Attach, jobs: Jobs, elsewhere: JobsElsewhere, lost: LostJobs
) -> None:
    try:
        job = jobs.find(ctx.user_id, request.id)
    except NotFound:
        if await elsewhere.attach(ctx, request) or await lost.answer(ctx, request.id):
            return
        raise
    else:
        after = job.reaches(request.after)
        ctx.emit(Attached(id=request.id, after=after))
        job.watch(ctx, after)
