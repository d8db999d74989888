"""Commands for requests that are paid for: under one id however often they come, and as they go.

Pure, like those of `lbproto.ledger.commands`, and to be used in the same way.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from lbproto.errors import InvalidRequest
from lbproto.ledger.account import Change, Outcome, Receipt, Reservation, State
from lbproto.ledger.commands import reserve
from lbproto.ledger.draft import Draft

__all__ = ["Standing", "enlarge", "take_up"]


class Standing(NamedTuple):
    """The state of one attempt to serve a priced request.

    Attributes:
        held: its reservation, open; None where there is none (any more).
        paid: what it has spent, where that still counts.
        over: it was resolved: another attempt needs another id.
    """

    held: Reservation | None
    paid: int = 0
    over: bool = False


def take_up(
    transaction_id: str, amount: int, action: str, now: int, expires_at: int, counts_from: int
) -> Change[Standing]:
    """Set credits aside for a request, or go on where whoever served it before has died.

    A reservation that is open is taken up as it is, and lives on until `expires_at`.

    Args:
        amount: what it still needs; where that is 0 or less, nothing is set aside.
        action: what for.
        expires_at: then it is released, unless it is resolved or extended before.
        counts_from: what it has spent from this moment on is not spent again.

    Raises:
        InvalidRequest: the transaction id was used for something else.
        InsufficientCredits: less than that is available.
    """

    def change(state: State, known: Receipt | None) -> Outcome[Standing]:
        if transaction_id in state.reservations:
            draft = Draft(state, now)
            held = draft.state.reservations.get(transaction_id)
            if held is None:  # it has expired just now
                return draft.outcome(Standing(None, over=True))
            held = msgspec.structs.replace(held, expires_at=max(held.expires_at, expires_at))
            draft.renew(held)
            return draft.outcome(Standing(held))
        if known is None:
            if amount <= 0:
                return Outcome(state, [], {}, Standing(None))
            made = reserve(transaction_id, amount, action, now, expires_at)(state, None)
            return Outcome(made.state, made.movements, made.receipts, Standing(made.answer))
        if known.command[0] != "reserve":
            raise InvalidRequest("The transaction id was used for something else")
        movement = known.movement
        counts = movement is not None and movement.at >= counts_from
        paid = -movement.amount if movement is not None and counts else 0
        return Outcome(state, [], {}, Standing(None, paid, over=True))

    return change


def enlarge(
    transaction_id: str, needed: int, wanted: int, now: int, expires_at: int
) -> Change[Reservation]:
    """Set more credits aside in an open reservation, which lives on until `expires_at`.

    Args:
        needed: how many more, at least; 1 or more.
        wanted: how many more, where so many are available.

    Raises:
        NotFound: there is no such reservation, or it is resolved.
        InsufficientCredits: less than `needed` is available; the reservation is as it was.
    """

    def change(state: State, known: Receipt | None) -> Outcome[Reservation]:  # noqa: ARG001 - a `Change`
        draft = Draft(state, now)
        held = draft.held(transaction_id)
        more = max(needed, min(wanted, draft.state.available))
        held = msgspec.structs.replace(
            held,
            amount=held.amount + more,
            lots=held.lots + draft.take(more),
            expires_at=max(held.expires_at, expires_at),
        )
        draft.renew(held)
        return draft.outcome(held)

    return change
