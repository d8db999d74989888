"""Accounts in this process: for one node that may forget them, for tests, and as a reference."""

from __future__ import annotations

from heapq import heappop, heappush
from math import inf
from typing import TypeVar

from lbproto.ledger.account import Account, Change, Movement, Outcome, Receipt, State
from lbproto.ledger.store import LedgerStore

__all__ = ["MemoryLedger"]

T = TypeVar("T")


class _Record:
    """The record of an account."""

    __slots__ = ("movements", "queued", "receipts", "state")

    def __init__(self) -> None:
        self.state = State()
        self.receipts: dict[str, Receipt] = {}
        self.movements: list[Movement] = []
        self.queued: float = inf  # the earliest moment by which it is in the queue


class MemoryLedger(LedgerStore):
    """Accounts in dictionaries; gone with the process.

    It forgets nothing before that: each transaction takes some hundred bytes. Every call is done
    without a pause, so that commands exclude each other by themselves.
    """

    def __init__(self) -> None:
        self._records: dict[Account, _Record] = {}
        self._queue: list[tuple[int, Account]] = []

    async def transact(
        self, account: Account, transaction_id: str, change: Change[T]
    ) -> Outcome[T]:
        record = self._records.get(account) or _Record()
        before, receipts = record.state, record.receipts
        outcome = change(before, receipts.get(transaction_id))
        state = outcome.state
        if state is before and not outcome.receipts:
            return outcome
        if not before.version:  # nothing has happened before its first movement
            self._records[account] = record
        record.state = state
        if outcome.receipts:
            receipts.update(outcome.receipts)
        if outcome.movements:
            record.movements += outcome.movements
        due = state.due_at
        if due is not None and due < record.queued:
            self._enqueue(due, account, record)
        return outcome

    def _enqueue(self, due: int, account: Account, record: _Record) -> None:
        """See to it that the queue has the account no later than it is due.

        It may have it earlier, as when a reservation was settled in time: `due` finds out.
        """
        record.queued = due
        heappush(self._queue, (due, account))

    async def movements(
        self, account: Account, before: int | None = None, limit: int = 100
    ) -> list[Movement]:
        record = self._records.get(account)
        if record is None:
            return []
        end = len(record.movements)  # they are numbered from 1
        if before is not None:
            end = max(0, min(end, before - 1))
        return record.movements[max(0, end - limit) : end][::-1]

    async def due(self, now: int, limit: int = 100) -> list[Account]:
        found: list[tuple[int, Account]] = []
        while self._queue and self._queue[0][0] <= now and len(found) < limit:
            when, account = heappop(self._queue)
            record = self._records[account]
            if when != record.queued:
                continue  # it was put in again, earlier
            record.queued = inf
            if (due := record.state.due_at) is not None:
                if due <= now:
                    found.append((due, account))
                else:
                    self._enqueue(due, account, record)
        for due, account in found:  # they are due until somebody looks at them
            self._enqueue(due, account, self._records[account])
        return [account for _, account in found]
