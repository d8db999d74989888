"""The commands of a ledger. Pure: each makes a `Change` for a store to apply to an account.

What a command raises it raises when it is applied, and nothing has changed then. All moments are in
milliseconds since the Unix epoch.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lbproto.errors import InvalidRequest
from lbproto.ledger.account import (
    MAX_AMOUNT,
    Balance,
    Change,
    Kind,
    Lot,
    Movement,
    Outcome,
    Receipt,
    Reservation,
    State,
    Status,
)
from lbproto.ledger.draft import Draft, reserve_command

__all__ = ["adjust", "extend", "grant", "look", "release", "reserve", "settle"]


def grant(
    transaction_id: str,
    amount: int,
    reason: str,
    now: int,
    *,
    priority: int = 0,
    expires_at: int | None = None,
) -> Change[Movement]:
    """Give credits.

    Args:
        amount: 1 or more.
        reason: shown to the user.
        priority: the lowest is spent first.
        expires_at: what is left then is gone; None for never.

    Raises:
        InvalidRequest: the amount is not valid, the moment has passed, the account would have
            earned too much, or the transaction id was used for something else.
    """
    command = ("grant", amount, f"{reason}\n{priority}\n{expires_at}")

    def change(state: State, known: Receipt | None) -> Outcome[Movement]:
        if known is not None or transaction_id in state.reservations:
            return _again(state, known, command)
        _check_amount(amount)
        if expires_at is not None and expires_at <= now:
            raise InvalidRequest("The grant would have expired already")
        draft = Draft(state, now)
        _check_earned(draft.state.earned + amount)
        movement = draft.move(Kind.GRANTED, amount, reason, transaction_id)
        draft.add(amount, priority, expires_at, movement)
        draft.receipts[transaction_id] = Receipt(command, Status.DONE, movement)
        return draft.outcome(movement)

    return change


def adjust(transaction_id: str, amount: int, reason: str, now: int) -> Change[Movement]:
    """Correct a balance, upwards or, by a negative amount, downwards.

    Raises:
        InvalidRequest: as for `grant`.
        InsufficientCredits: less than that is available.
    """
    command = ("adjust", amount, reason)

    def change(state: State, known: Receipt | None) -> Outcome[Movement]:
        if known is not None or transaction_id in state.reservations:
            return _again(state, known, command)
        _check_amount(abs(amount))
        draft = Draft(state, now)
        if amount < 0:
            draft.take(-amount)
        else:
            _check_earned(draft.state.earned + amount)
        movement = draft.move(Kind.ADJUSTED, amount, reason, transaction_id)
        if amount > 0:
            draft.add(amount, 0, None, movement)
        draft.receipts[transaction_id] = Receipt(command, Status.DONE, movement)
        return draft.outcome(movement)

    return change


def reserve(
    transaction_id: str, amount: int, action: str, now: int, expires_at: int
) -> Change[Reservation]:
    """Set credits aside. Asked for again, it is answered with how that reservation stands.

    Args:
        amount: 1 or more.
        action: what for.
        expires_at: then it is released, unless it is resolved or extended before.

    Raises:
        InvalidRequest: as for `grant`.
        InsufficientCredits: less than that is available.
    """

    def change(state: State, known: Receipt | None) -> Outcome[Reservation]:
        if (held := state.reservations.get(transaction_id)) is not None:
            if (held.amount, held.action) != (amount, action):
                raise InvalidRequest(_USED)
            if held.expires_at > now:
                return Outcome(state, [], {}, held)
            held = Reservation(transaction_id, amount, action, held.expires_at, Status.EXPIRED)
            return Draft(state, now).outcome(held)
        if known is not None:
            if known.command != reserve_command(amount, action):
                raise InvalidRequest(_USED)
            held = Reservation(transaction_id, amount, action, expires_at, known.status)
            return Outcome(state, [], {}, held)
        _check_amount(amount)
        if expires_at <= now:
            raise InvalidRequest("The reservation would have expired already")
        draft = Draft(state, now)
        lots = draft.take(amount)
        held = Reservation(transaction_id, amount, action, expires_at, _OPEN, lots)
        draft.hold(held)
        return draft.outcome(held)

    return change


def settle(transaction_id: str, amount: int, now: int) -> Change[Movement | None]:
    """Spend of a reservation, and end it; answered with None where the amount is 0.

    Args:
        amount: 0 or more. More than was reserved is spent only if that is available.

    Raises:
        NotFound: there is no such reservation, or it was released, or has expired.
        InvalidRequest: it was settled with another amount, or the amount is not valid.
        InsufficientCredits: what is beyond the reservation is not available; it is open still.
    """

    def change(state: State, known: Receipt | None) -> Outcome[Movement | None]:
        if known is not None and known.status is _SETTLED:
            if amount != (0 if known.movement is None else -known.movement.amount):
                raise InvalidRequest("The reservation was settled with another amount")
            return Outcome(state, [], {}, known.movement)
        if amount:
            _check_amount(amount)
        draft = Draft(state, now)
        held = draft.held(transaction_id)
        if amount > held.amount:
            draft.take(amount - held.amount)
        movement = None
        if amount:
            movement = draft.move(_DEDUCTED, -amount, held.action, transaction_id)
        draft.resolve(held, _SETTLED, movement)
        if amount < held.amount:
            draft.give_back(_last(held.lots, held.amount - amount))
        return draft.outcome(movement)

    return change


def release(transaction_id: str, now: int) -> Change[None]:
    """Give up a reservation; no effect where it was released, or has expired, already.

    Raises:
        NotFound: there was no such reservation.
        InvalidRequest: it was settled.
    """

    def change(state: State, known: Receipt | None) -> Outcome[None]:
        if known is not None and known.status is Status.SETTLED:
            raise InvalidRequest("The reservation was settled")
        if known is not None and known.status in (Status.RELEASED, Status.EXPIRED):
            return Outcome(state, [], {}, None)
        draft = Draft(state, now)
        if transaction_id not in draft.receipts:  # else it has expired just now
            held = draft.held(transaction_id)
            draft.resolve(held, Status.RELEASED)
            draft.give_back(held.lots)
        return draft.outcome(None)

    return change


def extend(transaction_id: str, now: int, expires_at: int) -> Change[None]:
    """Let a reservation live longer: whoever holds it is at work still.

    Raises:
        NotFound: there is no such reservation, or it is resolved.
    """

    def change(state: State, known: Receipt | None) -> Outcome[None]:  # noqa: ARG001 - a `Change`
        draft = Draft(state, now)
        held = draft.held(transaction_id)
        if held.expires_at >= expires_at:
            return Outcome(state, [], {}, None)
        longer = msgspec.structs.replace(held, expires_at=expires_at)
        draft.renew(longer)
        return draft.outcome(None)

    return change


def look(now: int) -> Change[Balance]:
    """See how an account is now. What time has done to it is written down, for `due` to go on."""

    def change(state: State, known: Receipt | None) -> Outcome[Balance]:  # noqa: ARG001 - a `Change`
        due = state.due_at
        if due is None or due > now:
            return Outcome(state, [], {}, state.shown())
        draft = Draft(state, now)
        return draft.outcome(draft.state.shown())

    return change


_USED = "The transaction id was used for something else"

# Looking up a member of an enumeration takes longer than comparing it.
_OPEN, _SETTLED, _DEDUCTED = Status.OPEN, Status.SETTLED, Kind.DEDUCTED


def _again(state: State, known: Receipt | None, command: tuple[str, int, str]) -> Outcome[Movement]:
    if known is None or known.command != command or known.movement is None:
        raise InvalidRequest(_USED)
    return Outcome(state, [], {}, known.movement)


def _check_amount(amount: int) -> None:
    if not 1 <= amount <= MAX_AMOUNT:
        raise InvalidRequest(f"An amount of credits is from 1 to {MAX_AMOUNT:,}")


def _check_earned(earned: int) -> None:
    if earned > MAX_AMOUNT:
        raise InvalidRequest(f"An account earns at most {MAX_AMOUNT:,} credits in its life")


def _last(parts: Sequence[Lot], amount: int) -> list[Lot]:
    """So many credits of what was taken, the last ones: those taken first are spent first."""
    if len(parts) == 1:
        return [parts[0].of(amount)]
    found: list[Lot] = []
    for part in reversed(parts):
        share = min(part.left, amount)
        amount -= share
        if share:
            found.append(part.of(share))
    return found
