"""Concurrent changes of accounts in a database, one lane per account; under asyncio.

Theory of operation. The changes of one account stand in a lane. A lane has one task, which takes
all that stand there, lets each change what the one before it has made, and has the store commit
that in one go; meanwhile the next ones queue up. So tasks of one node never get in each other's
way, and the more there are, the more a commit is worth. Lanes of different accounts run side by
side. Nobody is answered before the commit, those who were refused included: they were by credits
that others had just spent.

A commit goes on when the one who asked for it is cancelled or gives up waiting: it is asked about
by the same transaction id.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Generic, NamedTuple, TypeVar

from lbproto.errors import Overloaded, UsageError
from lbproto.ledger.account import Account, Change, Movement, Outcome, Receipt, State

__all__ = ["Batch", "Commit", "Lanes", "Waiting", "fold"]

T = TypeVar("T")

_BATCH = 64
"""How many changes are committed together, at most: what one that fails takes with it."""


class Waiting(Generic[T]):
    """A change that somebody waits for."""

    __slots__ = ("change", "outcome", "transaction_id")

    def __init__(self, transaction_id: str, change: Change[T]) -> None:
        self.transaction_id = transaction_id
        self.change = change
        self.outcome: asyncio.Future[Outcome[T]] = asyncio.get_running_loop().create_future()

    def resolve(self, result: Outcome[T] | Exception) -> None:
        """Answer, unless nobody waits any more."""
        if self.outcome.done():
            return
        if isinstance(result, Exception):
            self.outcome.set_exception(result)
        else:
            self.outcome.set_result(result)


class Batch(NamedTuple):
    """The combined result of several changes, applied in order.

    Attributes:
        state: the account after them.
        movements: in order.
        receipts: those that are new or have changed, by transaction id.
        results: what each comes to, or has raised.
        is_change: whether there is anything to write.
    """

    state: State
    movements: list[Movement]
    receipts: dict[str, Receipt]
    results: list[Outcome[Any] | Exception]
    is_change: bool


Commit = Callable[[Account, Sequence[Waiting[Any]]], Awaitable[Sequence[Outcome[Any] | Exception]]]
"""Commits what several changes come to; raises where it cannot, or does not know whether it has."""


def fold(
    state: State,
    receipts: Mapping[str, Receipt],
    waiting: Iterable[Waiting[Any]],
) -> Batch:
    """Apply changes, one after the other. One that raises is left out.

    Args:
        receipts: those that are known of the changes' transactions.
    """
    before = state
    movements: list[Movement] = []
    made: dict[str, Receipt] = {}
    results: list[Outcome[Any] | Exception] = []
    for each in waiting:
        known = made.get(each.transaction_id) or receipts.get(each.transaction_id)
        try:
            outcome = each.change(state, known)
        except Exception as error:  # noqa: BLE001 - raised to the one whose change it is
            results.append(error)
            continue
        state = outcome.state
        movements += outcome.movements
        made.update(outcome.receipts)
        results.append(outcome)
    is_change = state is not before or bool(movements) or bool(made)
    return Batch(state, movements, made, results, is_change)


class Lanes:
    """Brings changes of accounts to a database, those of one account in order.

    Args:
        commit: commits several changes of one account.
        patience: for how long a change is waited for, in seconds.
        depth: how many may wait at once, over all accounts.
        width: how many commits there are at once, of as many accounts.
    """

    def __init__(self, commit: Commit, patience: float, depth: int, width: int) -> None:
        self._commit = commit
        self._patience = patience
        self._room = depth
        self._slots = asyncio.Semaphore(width)
        self._closed = False
        self._lanes: dict[Account, deque[Waiting[Any]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def transact(
        self, account: Account, transaction_id: str, change: Change[T]
    ) -> Outcome[T]:
        """Change an account.

        Raises:
            Whatever the change raises.
            Overloaded: too many wait, it takes too long, or the store cannot commit.
            UsageError: these are closed.
        """
        if self._closed:
            raise UsageError("The credit store is closed: use it within its `async with`")
        if not self._room:
            raise Overloaded("Too many wait for the credit store; try again", retry_after=1)
        waiting = Waiting(transaction_id, change)
        self._append(account, waiting)
        self._room -= 1
        try:
            await asyncio.wait((waiting.outcome,), timeout=self._patience)
            if not waiting.outcome.done():
                raise Overloaded("The credit store takes too long; try again", retry_after=1)
            return waiting.outcome.result()
        finally:
            self._room += 1
            if not waiting.outcome.cancel():
                waiting.outcome.exception()  # asyncio complains of one that nobody has looked at

    async def aclose(self) -> None:
        """Give up what is not committed yet, and take no more."""
        self._closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for lane in self._lanes.values():  # of tasks that had not begun
            _give_up(lane)
        self._lanes.clear()

    def _append(self, account: Account, waiting: Waiting[Any]) -> None:
        lane = self._lanes.get(account)
        if lane is not None:
            lane.append(waiting)
            return
        self._lanes[account] = lane = deque((waiting,))
        task = asyncio.create_task(self._serve(account, lane))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, account: Account, lane: deque[Waiting[Any]]) -> None:
        batch: list[Waiting[Any]] = []
        try:
            while lane:
                with suppress(TimeoutError):  # else a server that hangs would collect lanes
                    async with asyncio.timeout(self._patience):
                        await self._slots.acquire()
                    try:
                        batch = [lane.popleft() for _ in range(min(len(lane), _BATCH))]
                        await self._serve_batch(account, batch)
                    finally:
                        self._slots.release()
                while lane and lane[0].outcome.done():
                    lane.popleft()
        finally:  # no pause between the last look at the lane and this
            del self._lanes[account]
            _give_up((*batch, *lane))

    async def _serve_batch(self, account: Account, batch: Sequence[Waiting[Any]]) -> None:
        batch = [each for each in batch if not each.outcome.done()]
        if not batch:
            return
        try:
            results = await self._commit(account, batch)
        except Overloaded as error:
            for each in batch:  # one each: an exception that several raise collects their traces
                own = Overloaded(error.message, retry_after=error.retry_after)
                own.__cause__ = error.__cause__
                each.resolve(own)
        except Exception as error:  # noqa: BLE001 - raised to those who asked
            for each in batch:
                each.resolve(error)
        else:
            for each, result in zip(batch, results, strict=True):
                each.resolve(result)


def _give_up(waiting: Iterable[Waiting[Any]]) -> None:
    for each in waiting:
        each.resolve(Overloaded("The credit store is closing; try again", retry_after=1))
