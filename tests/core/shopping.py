"""A shop whose requests may be repeated, and clients that do so."""

from __future__ import annotations

from typing import Any

import anyio
from anyio.abc import TaskGroup

from lbproto import (
    Context,
    ErrorEvent,
    Event,
    Plugin,
    Server,
)
from lbproto.repeats.outcomes import Outcomes
from lbproto.testing import settle
from tests.core.harness import Client, Sent, connected

LIFETIME = 600.0


class Buy(Event):
    item: str
    count: int = 1


class Bought(Event):
    number: int
    text: str = ""


class Priced(Event):
    amount: int
    text: str = ""


class Upload(Event, weakref=True):
    data: str


class Sum(Event):
    """Of anything that the wire has."""

    of: Any


class BuyError(ErrorEvent, kw_only=True):
    item: str


class Shop:
    """Counts what it sells; does as it is told."""

    def __init__(self) -> None:
        self.served = 0
        self.failure: Exception | None = None
        self.gate: anyio.Event | None = None
        self.text = ""
        self.price = ""

    def plugin(self) -> Plugin:
        plugin = Plugin("shop")
        plugin.emits(Priced)

        @plugin.on(Buy, refused=BuyError)
        async def buy(ctx: Context, request: Buy) -> Bought:
            self.served += 1
            number = self.served
            ctx.emit(Priced(amount=7, text=self.price))
            if self.gate is not None:
                await self.gate.wait()
            if self.failure is not None:
                raise self.failure
            return Bought(number=number, text=self.text)

        return plugin


def sums(served: list[Context], answer: Sum | None = None) -> Plugin:
    """Answers a sum by itself, or by `answer`."""
    plugin = Plugin("sums")

    @plugin.on(Sum)
    async def total(ctx: Context, request: Sum) -> Sum:
        served.append(ctx)
        return answer or request

    return plugin


def bought(number: int, re: int | None = None) -> list[Sent]:
    return [
        Sent("priced", {"amount": 7}, re),
        Sent("bought", {"number": number}, re),
    ]


async def two_asking(server: Server, tasks: TaskGroup) -> Client:
    """Two clients of one user make the same request; the one returned is the second."""
    clients = [await connected(server) for _ in range(2)]
    for client in clients:
        tasks.start_soon(client.send, "buy", {"item": "hat", "requestId": "r1"})
        await settle()
    return clients[1]


async def buy(client: Client, request_id: object = "r1", **more: Any) -> list[Sent]:
    payload = {"item": "hat", **more}
    if request_id is not None:
        payload["requestId"] = request_id
    return await client.ask("buy", payload)


def outcomes_of(server: Server) -> Outcomes:
    return server.sessions._dispatcher._outcomes
