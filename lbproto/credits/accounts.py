"""The credits of a server's users, for the host, for plugins, and for whoever charges.

A facade over a store of accounts (`lbproto.ledger`): it gives transactions their ids and times,
tells what was committed, and lets time do its work on accounts that nobody touches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from lbproto.clock import Clock, iso_timestamp
from lbproto.delivery.hub import Hub
from lbproto.events import Event
from lbproto.ids import ordered_id
from lbproto.ledger.account import Account, Balance, Change, Movement, Outcome
from lbproto.ledger.commands import adjust, grant, look
from lbproto.ledger.order import InOrder
from lbproto.ledger.store import LedgerStore
from lbproto.messages import CreditBalanceUpdated, CreditsDeducted, CreditsGranted
from lbproto.sessions.session import personal_room

__all__ = ["Announce", "Credits", "tell"]

T = TypeVar("T")

Announce = Callable[[Account, Movement], None]
"""Tells a movement."""

_SWEEP_BATCH = 100  # accounts that are swept at a time


def tell(hub: Hub, account: Account, movement: Movement) -> None:
    """Tell the user of a movement: every session, on every node, whatever it has subscribed to."""
    timestamp = iso_timestamp(movement.at)
    amount, balance = movement.amount, movement.balance
    reason, id_ = movement.reason, movement.transaction_id
    moved: Event
    if amount > 0:
        moved = CreditsGranted(amount, balance, reason, id_, timestamp)
    else:
        moved = CreditsDeducted(-amount, balance, reason, id_, timestamp)
    updated = CreditBalanceUpdated(
        balance, movement.earned, movement.spent, account.application_id, movement.version
    )
    hub.announce(personal_room(account.user_id), (moved, updated))


class Credits:
    """Credits of a server's users.

    Args:
        store: keeps the accounts.
        clock: its wall clock dates what happens; every node's must be about right.
        announce: told each movement once, after its commit; those of an account that this node
            makes in order of their versions.
    """

    def __init__(
        self,
        store: LedgerStore,
        clock: Clock,
        announce: Announce = lambda _account, _movement: None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._announce = announce
        self._orders: dict[Account, InOrder | None] = {}  # None where one is under way, alone

    # For the host

    async def grant(
        self,
        user_id: str,
        amount: int,
        reason: str,
        *,
        application_id: str = "default",
        transaction_id: str | None = None,
        priority: int = 0,
        expires_at: int | None = None,
    ) -> Movement:
        """Give credits.

        Args:
            amount: 1 or more.
            reason: shown to the user.
            transaction_id: the same grant again by the same id is given once and answered alike;
                by default a new id.
            priority: the lowest is spent first.
            expires_at: what is left then is gone, in ms since the Unix epoch; None for never.

        Raises:
            InvalidRequest: the amount is not valid, the moment has passed, the account would have
                earned too much, or the id was used for something else.
            Overloaded: the store cannot be reached; whether it is done is not known then, and
                asking again by the same id tells.
        """
        now = self.now()
        id_ = transaction_id or ordered_id(now)
        change = grant(id_, amount, reason, now, priority=priority, expires_at=expires_at)
        return (await self.transact(Account(user_id, application_id), id_, change)).answer

    async def adjust(
        self,
        user_id: str,
        amount: int,
        reason: str,
        *,
        application_id: str = "default",
        transaction_id: str | None = None,
    ) -> Movement:
        """Correct a balance, upwards or, by a negative amount, downwards.

        Args:
            reason: shown to the user.
            transaction_id: as for `grant`.

        Raises:
            InvalidRequest: as for `grant`.
            InsufficientCredits: less than that is available.
            Overloaded: as for `grant`.
        """
        now = self.now()
        id_ = transaction_id or ordered_id(now)
        change = adjust(id_, amount, reason, now)
        return (await self.transact(Account(user_id, application_id), id_, change)).answer

    async def balance(self, user_id: str, application_id: str = "default") -> Balance:
        """An account's current state; all zeros if it does not exist.

        Raises:
            Overloaded: the store cannot be reached.
        """
        account = Account(user_id, application_id)
        return (await self.transact(account, "", look(self.now()))).answer

    async def history(
        self,
        user_id: str,
        application_id: str = "default",
        *,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Movement]:
        """An account's movements, newest first.

        Args:
            before: only those of a lower version; None for the newest.
            limit: at most so many.

        Raises:
            Overloaded: the store cannot be reached.
        """
        return await self._store.movements(Account(user_id, application_id), before, limit)

    # For whoever charges

    def now(self) -> int:
        """Wall time, in ms since the Unix epoch."""
        return int(self._clock.now() * 1000)

    def announce(self, account: Account, movement: Movement) -> None:
        """Tell a movement that was committed when its user could not be told."""
        self._announce(account, movement)

    async def transact(
        self, account: Account, transaction_id: str, change: Change[T]
    ) -> Outcome[T]:
        """Run a command on an account, and tell the movements; see `LedgerStore.transact`."""
        orders, number = self._orders, 0
        if account in orders:
            number = self._join(account)
        else:
            orders[account] = None
        try:
            outcome = await self._store.transact(account, transaction_id, change)
        except BaseException:
            self._end(account, number, ())
            raise
        self._end(account, number, outcome.movements)
        return outcome

    def _join(self, account: Account) -> int:
        """Somebody begins while others are under way."""
        order = self._orders[account]
        if order is None:
            order = self._orders[account] = InOrder()
            order.begin()  # for who is under way already
        return order.begin()

    def _end(self, account: Account, number: int, movements: Sequence[Movement]) -> None:
        order = self._orders.pop(account)
        if order is not None:
            movements = order.end(number, movements)
            if order.under_way:
                self._orders[account] = order
        for movement in movements:
            self._announce(account, movement)

    async def sweep(self) -> None:
        """Expire reservations and grants that are due.

        Raises:
            Overloaded: the store cannot be reached.
        """
        while True:
            now = self.now()
            accounts = await self._store.due(now, _SWEEP_BATCH)
            for account in accounts:
                await self.transact(account, "", look(now))
            if len(accounts) < _SWEEP_BATCH:
                return
