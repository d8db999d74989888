"""Credits reserved for requests while they are served.

Theory of operation. A request's price is reserved before its handler runs, and settled when it has
run. In between the reservation is open, and kept alive: it lives a minute, and is extended as long
as the handler is at work, so that one whose node has died expires by itself. A settlement that the
store does not take is tried again until it does.

Under the id of a request that has a `requestId`, a repeat finds what has become of it, on any node
and after a crash: a reservation that is open is taken up, and what has been paid counts.
"""

from __future__ import annotations

import logging
from hashlib import blake2b
from typing import TypeVar

import anyio
import msgspec

from lbproto.clock import Clock
from lbproto.credits.accounts import Credits
from lbproto.errors import (
    InsufficientCredits,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    Overloaded,
)
from lbproto.ids import ordered_id
from lbproto.ledger.account import Account, Change
from lbproto.ledger.commands import extend, release, reserve, settle
from lbproto.ledger.metering import enlarge, take_up

__all__ = ["Hold", "Holds", "RepeatKey"]

T = TypeVar("T")

logger = logging.getLogger(__name__)

_LIFETIME_MS = 60_000  # ms that a reservation lives, unless its request is still being served
_MIN_LEFT_MS = 40_000  # ms that one always has left while it is
_ROUND_SECONDS = 5.0  # seconds between two looks at what needs to be extended, or has expired
_REPEAT_MS = 600_000  # ms in which a request that is repeated is not paid for again
_MAX_ATTEMPTS = 100
_SETTLE_SECONDS = 5.0  # seconds that a request has, when it is cancelled, to say what it costs

RepeatKey = tuple[str, bytes]
"""A request's `requestId`, and the digest of the request."""


class Hold(msgspec.Struct, eq=False, gc=False):
    """Credits reserved for one request.

    Attributes:
        account: whose.
        action: the request's name, as told to the user.
        amount: how many; 0 where there is no reservation.
        transaction_id: of the reservation.
        expires_at: in ms since the Unix epoch; extended as long as the request is being served.
        paid: the credits that its repeats have paid.
    """

    account: Account
    action: str
    amount: int = 0
    transaction_id: str = ""
    expires_at: int = 0
    paid: int = 0

    @property
    def within(self) -> int:
        """What the request may cost before the reservation must be enlarged."""
        return self.paid + self.amount


class Holds:
    """The reservations of one node.

    Args:
        credits_: the accounts.
        clock: wakes whoever keeps this up.
    """

    def __init__(self, credits_: Credits, clock: Clock) -> None:
        self._credits = credits_
        self._clock = clock
        self._open: set[Hold] = set()
        self._unsettled: dict[Hold, int] = {}

    async def reserve(
        self, account: Account, amount: int, action: str, repeat: RepeatKey | None = None
    ) -> Hold:
        """Reserve credits for a request; released again if the request is cancelled meanwhile.

        Args:
            amount: how many it costs; 0 or more.
            action: its event.
            repeat: what it has in common with its repeats; what was paid for one of them in the
                last 10 minutes is not paid again.

        Raises:
            InsufficientCredits: less than that is available.
            LimitExceeded: it was tried too often.
            Overloaded: the store cannot be reached.
        """
        now = self._credits.now()
        expires_at = now + _LIFETIME_MS
        if repeat is None:
            if not amount:
                return Hold(account, action)
            id_ = ordered_id(now)
            change = reserve(id_, amount, action, now, expires_at)
            hold = Hold(account, action, amount, id_, expires_at)
            await self._commit(hold, change)
            self._open.add(hold)
            return hold
        paid = 0
        for attempt in range(_MAX_ATTEMPTS):
            id_ = _id_of(action, repeat, attempt)
            rest = take_up(id_, amount - paid, action, now, expires_at, now - _REPEAT_MS)
            hold = Hold(account, action, transaction_id=id_)
            standing = await self._commit(hold, rest)
            paid += standing.paid
            if (held := standing.held) is not None:
                hold.amount, hold.expires_at, hold.paid = held.amount, held.expires_at, paid
                self._open.add(hold)
                return hold
            if not standing.over:
                return Hold(account, action, paid=paid)
        raise LimitExceeded("This request was tried too often: ask with another requestId")

    async def _commit(self, hold: Hold, change: Change[T]) -> T:
        """Have a reservation made; it is released again where its request is cut off meanwhile."""
        try:
            return (await self._credits.transact(hold.account, hold.transaction_id, change)).answer
        except anyio.get_cancelled_exc_class():
            await self.settle(hold, 0)  # it may have been committed
            raise

    async def enlarge(self, hold: Hold, needed: int, wanted: int) -> None:
        """Set more aside: what is needed, or even what is wanted, where so much is available.

        Raises:
            InsufficientCredits: not even what is needed is.
            NotFound: it has expired.
            Overloaded: the store cannot be reached.
        """
        now = self._credits.now()
        change = enlarge(hold.transaction_id, needed, wanted, now, now + _LIFETIME_MS)
        held = (await self._credits.transact(hold.account, hold.transaction_id, change)).answer
        hold.amount, hold.expires_at = held.amount, held.expires_at

    async def settle(self, hold: Hold, amount: int) -> None:
        """Spend an amount of the reservation and release the rest; 0 releases all of it.

        Where the store cannot be reached, it is tried again later. A cancellation waits for it.
        """
        self._open.discard(hold)
        try:
            await self._settle(hold, amount)
        except Overloaded as error:
            self._settle_later(hold, amount, error)
        except anyio.get_cancelled_exc_class():
            # It may have been committed, and not been told.
            with anyio.move_on_after(_SETTLE_SECONDS, shield=True) as scope:
                try:
                    await self._settle(hold, amount, again=True)
                except Overloaded as error:
                    self._settle_later(hold, amount, error)
            if scope.cancelled_caught:
                self._settle_later(hold, amount, "the store takes too long")
            raise

    def _settle_later(self, hold: Hold, amount: int, reason: object) -> None:
        logger.warning("%s is not settled yet: %s", hold.transaction_id, reason)
        self._unsettled[hold] = amount

    async def _settle(self, hold: Hold, amount: int, *, again: bool = False) -> None:
        """Settle it, or release it.

        Args:
            again: whether it may have been done, and not been told.
        """
        account, id_ = hold.account, hold.transaction_id
        try:
            if not amount:
                await self._credits.transact(account, id_, release(id_, self._credits.now()))
                return
            outcome = await self._credits.transact(
                account, id_, settle(id_, amount, self._credits.now())
            )
        except NotFound:
            if amount:
                await self._collect(hold, amount)
        except InvalidRequest as error:  # another node has served the same request, and is paid
            logger.info("%s: %s", id_, error)
        else:
            if again and not outcome.movements and outcome.answer is not None:
                self._credits.announce(account, outcome.answer)

    async def _collect(self, hold: Hold, amount: int) -> None:
        """The reservation is gone, as when the clock was set ahead; but the work has been done."""
        try:
            other = await self.reserve(hold.account, amount, hold.action)
        except InsufficientCredits as error:
            logger.warning("%s stays unpaid: %s", hold.transaction_id, error)
        else:
            await self.settle(other, amount)

    async def run(self) -> None:
        """Extend reservations, retry failed settlements and sweep expired ones, until cancelled."""
        while True:
            await self._clock.sleep(_ROUND_SECONDS)
            try:
                await self._settle_again()
                await self._extend()
                await self._credits.sweep()
            except Overloaded as error:
                logger.warning("credits cannot be kept up: %s", error)
            except Exception:
                logger.exception("credits cannot be kept up")

    async def _settle_again(self) -> None:
        for hold, amount in list(self._unsettled.items()):
            await self._settle(hold, amount, again=True)
            del self._unsettled[hold]

    async def _extend(self) -> None:
        now = self._credits.now()
        for hold in [hold for hold in self._open if hold.expires_at < now + _MIN_LEFT_MS]:
            change = extend(hold.transaction_id, now, now + _LIFETIME_MS)
            try:
                await self._credits.transact(hold.account, hold.transaction_id, change)
            except NotFound:  # see `_collect`; or it has just been settled
                self._open.discard(hold)
            else:
                hold.expires_at = now + _LIFETIME_MS


def _id_of(action: str, repeat: RepeatKey, attempt: int) -> str:
    """The same for the same request, in every process."""
    request_id, digest = repeat
    source = f"{action}\0{request_id}\0{attempt}\0".encode() + digest
    return blake2b(source, digest_size=15).hexdigest()
