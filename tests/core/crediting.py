"""A desk that does priced work as it is told, and stores of credits that fail."""

from __future__ import annotations

from typing import TypeVar

import anyio

from lbproto import Context, Event, Overloaded, Plugin, Server
from lbproto.ledger.account import Account, Change, Kind, Outcome
from lbproto.ledger.memory import MemoryLedger
from tests.core.harness import Client, Sent, connected

T = TypeVar("T")


class Work(Event):
    units: int = 5


class Done(Event):
    pass


class Frail(MemoryLedger):
    """A store that cannot be reached at times, or is not heard of again.

    Attributes:
        unreachable: whether nothing gets through.
        silent: whether what gets through is not answered.
    """

    def __init__(self) -> None:
        super().__init__()
        self.unreachable = False
        self.silent = False

    async def transact(
        self, account: Account, transaction_id: str, change: Change[T]
    ) -> Outcome[T]:
        if self.unreachable:
            raise Overloaded("the store is away")
        outcome = await super().transact(account, transaction_id, change)
        if self.silent:
            raise Overloaded("the store does not answer")
        return outcome


class Desk:
    """Work for 5 credits, as it is told.

    Attributes:
        gate: waited for.
        failure: raised at the end.
        charges: what is charged instead of the price.
    """

    def __init__(self) -> None:
        self.gate: anyio.Event | None = None
        self.failure: Exception | None = None
        self.charges: list[int] = []
        self.served = 0

    def plugin(self) -> Plugin:
        plugin = Plugin("desk")

        @plugin.on(Work, price=5)
        async def work(ctx: Context, request: Work) -> Done:
            self.served += 1
            for amount in self.charges:
                await ctx.charge(amount)
            if self.gate is not None:
                await self.gate.wait()
            if self.failure is not None:
                raise self.failure
            return Done()

        return plugin


class Late(Frail):
    """A store that does not answer before it may, though it has committed.

    Attributes:
        gate: waited for.
    """

    gate: anyio.Event | None = None

    async def transact(
        self, account: Account, transaction_id: str, change: Change[T]
    ) -> Outcome[T]:
        outcome = await super().transact(account, transaction_id, change)
        if self.gate is not None:
            await self.gate.wait()
        return outcome


async def account_of(server: Server) -> tuple[int, int]:
    """The balance, and what of it is available."""
    balance = await server.credits.balance("ada")
    return balance.balance, balance.available


async def spent(server: Server) -> list[int]:
    """What was deducted, one after the other."""
    history = await server.credits.history("ada")
    return [-each.amount for each in reversed(history) if each.kind is Kind.DEDUCTED]


async def rich(server: Server, amount: int = 20) -> Client:
    """A client of a user with credits."""
    client = await connected(server)
    await server.credits.grant("ada", amount, "a gift", transaction_id="gift")
    client.take()
    return client


def names(sent: list[Sent]) -> list[str]:
    return [each.name for each in sent]
