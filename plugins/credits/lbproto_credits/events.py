"""What goes over the wire when a client asks. What it is told unasked is lbproto's own."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from lbproto import Event, Model

__all__ = [
    "CreditEntry",
    "CreditsBalance",
    "CreditsBalanceResponse",
    "CreditsHistory",
    "CreditsHistoryResponse",
]

_ApplicationId = Annotated[str, Meta(min_length=1, max_length=128)]


class CreditsBalance(Event):
    """Ask for the account's balance; answered by `credits_balance_response`."""

    application_id: _ApplicationId = "default"


class CreditsBalanceResponse(Event):
    """How the account is now: `available` is the balance less what is set aside for requests."""

    balance: int
    available: int
    lifetime_earned: int
    lifetime_spent: int
    application_id: str
    version: int


class CreditsHistory(Event):
    """Ask for the account's movements, newest first; answered by `credits_history_response`.

    `cursor` is an answer's `nextCursor`: go on from there.
    """

    application_id: _ApplicationId = "default"
    limit: Annotated[int, Meta(ge=1, le=500)] = 50
    cursor: Annotated[str, Meta(min_length=1, max_length=64)] | None = None


class CreditEntry(Model):
    """One movement: `amount` is negative for what went out, `balance` is what there was after it.

    `kind` is `granted`, `deducted`, `adjusted` or `expired`; `reason` the grant's or adjustment's,
    or the name of the request that was paid for.
    """

    kind: str
    amount: int
    balance: int
    reason: str
    transaction_id: str
    timestamp: str
    version: int


class CreditsHistoryResponse(Event):
    """The movements; `nextCursor` is null where there are no older ones."""

    application_id: str
    entries: list[CreditEntry]
    next_cursor: str | None
