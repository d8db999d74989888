"""Credits in memory: what it costs to reserve and to settle.

The floor is two subtractions in a dictionary.
"""

from __future__ import annotations

from itertools import count

from benchmarks.micro.operation import Operation, Prepared, calling, done
from lbproto.ledger.account import Account
from lbproto.ledger.commands import grant, reserve, settle
from lbproto.ledger.memory import MemoryLedger

__all__ = ["OPERATIONS"]

SPEND = "reserve and settle credits"
_MANY = 10**12
_NOW = 1_768_910_400_000


def _spend() -> Prepared:
    ledger, account, numbers = MemoryLedger(), Account("user"), count()
    done(ledger.transact(account, "all", grant("all", _MANY, "gift", _NOW)))

    async def spend(name: str) -> None:
        await ledger.transact(account, name, reserve(name, 5, "order", _NOW, _NOW + 60_000))
        await ledger.transact(account, name, settle(name, 5, _NOW))

    return calling(lambda: done(spend(str(next(numbers)))))


def _floor() -> Prepared:
    available, balance = {"user": _MANY}, {"user": _MANY}

    def spend(user: str) -> None:
        available[user] -= 5
        balance[user] -= 5

    return calling(spend, "user")


OPERATIONS = (
    Operation(SPEND, "floor", _floor, count=20_000),
    Operation(SPEND, "lbproto", _spend),
)
"""Both."""
