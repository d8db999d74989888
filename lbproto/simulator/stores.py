"""Storage and accounts in virtual time: shared by the nodes, late, and refusing now and then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, TypeVar

from lbproto.backends.base import Storage
from lbproto.backends.memory import MemoryStorage
from lbproto.clock import Clock
from lbproto.errors import Overloaded
from lbproto.ledger.account import Account, Change, Movement, Outcome, State
from lbproto.ledger.memory import MemoryLedger
from lbproto.ledger.store import LedgerStore
from lbproto.simulator.broker import latency
from lbproto.simulator.chance import stream

__all__ = ["Reach", "Shared", "SimulatedLedger", "SimulatedStorage"]

T = TypeVar("T")


_NOT_DONE = 0.5  # of what is refused, how much: the rest is done, and the answer is lost


class Shared:
    """What outlives every node.

    Args:
        clock: of the machine that it is on.

    Attributes:
        records, accounts: what is kept there.
        states: the accounts as they are.
        committed: called with what each transaction came to, once it is committed.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.records = MemoryStorage(clock)
        self.accounts = MemoryLedger()
        self.states: dict[Account, State] = {}
        self.committed: Callable[[Account, Outcome[Any]], None] = _nothing

    def forget(self) -> None:
        """Lose all records; accounts are kept elsewhere."""
        self.records = MemoryStorage(self._clock)

    @property
    def has_reservations(self) -> bool:
        """Whether something is still set aside."""
        return any(state.reservations for state in self.states.values())


class Reach:
    """The way from one node to what is shared.

    Args:
        seed: decides how late an answer is.
        node: whose way it is.

    Attributes:
        is_cut: whether all is refused.
        is_severed: whether the node is dead: nothing that it still does has an effect.
    """

    def __init__(self, seed: int, node: str) -> None:
        self.is_cut = False
        self.is_severed = False
        self._random: Random = stream(seed, "store", node)

    def allow(self) -> None:
        """Refuse nothing any more."""
        self.is_cut = False

    async def go(self) -> None:
        """Get there.

        Raises:
            Overloaded: it is out of reach; nothing was done.
        """
        await asyncio.sleep(latency(self._random))
        if self.is_severed or (self.is_cut and self._random.random() < _NOT_DONE):
            raise Overloaded("out of reach", retry_after=1)

    async def back(self) -> None:
        """Bring the answer.

        Raises:
            Overloaded: it was lost; what was asked for is done.
        """
        await asyncio.sleep(latency(self._random))
        if self.is_severed or self.is_cut:
            raise Overloaded("the answer was lost", retry_after=1)


class SimulatedStorage(Storage):
    """One node's end of the shared records.

    Args:
        shared: where they are.
        reach: the way there.
    """

    durable = True

    def __init__(self, shared: Shared, reach: Reach) -> None:
        self._shared = shared
        self._reach = reach

    async def get(self, key: str) -> bytes | None:
        await self._reach.go()
        value = await self._shared.records.get(key)
        await self._reach.back()
        return value

    async def put(self, key: str, value: bytes, *, ttl: float | None = None) -> None:
        await self._reach.go()
        await self._shared.records.put(key, value, ttl=ttl)
        await self._reach.back()

    async def put_new(self, key: str, value: bytes, *, ttl: float | None = None) -> bool:
        await self._reach.go()
        is_set = await self._shared.records.put_new(key, value, ttl=ttl)
        await self._reach.back()
        return is_set

    async def delete(self, key: str) -> bool:
        await self._reach.go()
        was_there = await self._shared.records.delete(key)
        await self._reach.back()
        return was_there

    async def increment(self, key: str, by: int = 1) -> int:
        await self._reach.go()
        total = await self._shared.records.increment(key, by)
        await self._reach.back()
        return total

    async def children(self, parent: str) -> dict[str, bytes]:
        await self._reach.go()
        found = await self._shared.records.children(parent)
        await self._reach.back()
        return found


class SimulatedLedger(LedgerStore):
    """One node's end of the shared accounts.

    Args:
        shared: where they are.
        reach: the way there.
    """

    def __init__(self, shared: Shared, reach: Reach) -> None:
        self._shared = shared
        self._reach = reach

    async def transact(
        self, account: Account, transaction_id: str, change: Change[T]
    ) -> Outcome[T]:
        await self._reach.go()
        outcome = await self._shared.accounts.transact(account, transaction_id, change)
        self._shared.states[account] = outcome.state
        self._shared.committed(account, outcome)
        await self._reach.back()
        return outcome

    async def movements(
        self, account: Account, before: int | None = None, limit: int = 100
    ) -> list[Movement]:
        await self._reach.go()
        found: Sequence[Movement] = await self._shared.accounts.movements(account, before, limit)
        await self._reach.back()
        return list(found)

    async def due(self, now: int, limit: int = 100) -> list[Account]:
        await self._reach.go()
        found = await self._shared.accounts.due(now, limit)
        await self._reach.back()
        return found


def _nothing(_: Account, __: Outcome[Any]) -> None:
    """Nobody looks."""
