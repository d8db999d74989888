"""Accounts in a file: durable, for one machine; needs nothing but the standard library.

How it works is said at `lbproto.backends.sqlite_file`. A caller who is cancelled, and wants to know
what became of the command, asks again, by the same transaction id.
"""

from __future__ import annotations

import logging
from typing import TypeVar

from lbproto.backends.sqlite_calls import Reading
from lbproto.backends.sqlite_file import SQLiteFile
from lbproto.backends.sqlite_schema import connect
from lbproto.ledger.account import Account, Change, Movement, Outcome
from lbproto.ledger.sqlite_calls import Command
from lbproto.ledger.sqlite_schema import SCHEMA
from lbproto.ledger.sqlite_tables import Tables
from lbproto.ledger.store import LedgerStore

__all__ = ["SQLiteLedger"]

T = TypeVar("T")


class SQLiteLedger(SQLiteFile, LedgerStore):
    """Accounts in a SQLite file.

    What is answered is on the disk: it survives the end of the process, of the operating system,
    and of the power, as far as the disk keeps its promises.

    Entering raises `UsageError` where the file cannot be opened, holds something else, or was
    written by a later version; one that is not there is made. Leaving answers everybody first. All
    calls are made from the event loop that it was entered in.

    Args:
        path: the file; two more beside it have its name with `-wal` and `-shm`.
        waiting: how many calls may wait at once; more are refused with `Overloaded`.
        batch: how many commands are committed together at most; none waits for more than these.
        timeout: for how long another process is waited for, in seconds.
    """

    _kind = SCHEMA.name
    _logger = logging.getLogger("lbproto.ledger")

    def _open(self) -> Tables:
        return Tables(connect(self._path, self._timeout, SCHEMA))

    async def transact(
        self, account: Account, transaction_id: str, change: Change[T]
    ) -> Outcome[T]:
        return await self._ask(Command(account, transaction_id, change))

    async def movements(
        self, account: Account, before: int | None = None, limit: int = 100
    ) -> list[Movement]:
        return await self._ask(Reading(lambda tables: tables.movements(account, before, limit)))

    async def due(self, now: int, limit: int = 100) -> list[Account]:
        return await self._ask(Reading(lambda tables: tables.due(now, limit)))
