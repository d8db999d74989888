"""The plugin: what users are told of their accounts, and what they may ask."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lbproto import (
    Context,
    CreditBalanceUpdated,
    CreditsDeducted,
    CreditsGranted,
    CreditsInsufficient,
    InvalidRequest,
    Movement,
    Plugin,
    Server,
    iso_timestamp,
)
from lbproto_credits.events import (
    CreditEntry,
    CreditsBalance,
    CreditsBalanceResponse,
    CreditsHistory,
    CreditsHistoryResponse,
)

__all__ = ["accounts"]

_CURSOR = re.compile(r"v([1-9][0-9]{0,15})", re.ASCII)


def accounts() -> Plugin:
    """Users' accounts of credits: their movements are told, balance and history may be asked for.

    The server needs a store for them: `Server(..., credits=...)`.
    """
    plugin = Plugin("credits", description="accounts of credits", lifespan=_checked)
    plugin.emits(CreditBalanceUpdated, CreditsDeducted, CreditsGranted, CreditsInsufficient)

    @plugin.on(CreditsBalance, repeatable=True)
    async def balance(ctx: Context, request: CreditsBalance) -> CreditsBalanceResponse:
        application_id = request.application_id
        await ctx.authorize(application_id)
        found = await ctx.credits.balance(ctx.user_id, application_id)
        return CreditsBalanceResponse(
            balance=found.balance,
            available=found.available,
            lifetime_earned=found.earned,
            lifetime_spent=found.spent,
            application_id=application_id,
            version=found.version,
        )

    @plugin.on(CreditsHistory, repeatable=True)
    async def history(ctx: Context, request: CreditsHistory) -> CreditsHistoryResponse:
        application_id, before = request.application_id, _before(request.cursor)
        await ctx.authorize(application_id)
        movements = await ctx.credits.history(
            ctx.user_id, application_id, before=before, limit=request.limit
        )
        # They are numbered from 1, without a gap.
        more = bool(movements) and movements[-1].version > 1
        return CreditsHistoryResponse(
            application_id=application_id,
            entries=[_entry(movement) for movement in movements],
            next_cursor=f"v{movements[-1].version}" if more else None,
        )

    return plugin


@asynccontextmanager
async def _checked(server: Server) -> AsyncIterator[None]:
    server.credits  # noqa: B018 - raises, with a sentence that says what to do, where there are none
    yield


def _before(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise InvalidRequest("A cursor is the `nextCursor` of an answer - at `$.cursor`")
    return int(match[1])


def _entry(movement: Movement) -> CreditEntry:
    return CreditEntry(
        kind=movement.kind,
        amount=movement.amount,
        balance=movement.balance,
        reason=movement.reason,
        transaction_id=movement.transaction_id,
        timestamp=iso_timestamp(movement.at),
        version=movement.version,
    )
