"""Servers that analyse the data which come with the plugin, for five credits a hop."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal

from lbproto import Plugin, Server, StaticTokens
from lbproto.ledger.memory import MemoryLedger
from lbproto_compliance import AddressAnalysis, bundled_store, compliance
from tests.e2e.app import USERS
from tests.e2e.probe import probe

GIVEN = 100


class Prices:
    """Every asset is worth 5,000 dollars, always; to say so takes its time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def usd(self, asset: str, amount: Decimal, at: datetime) -> float:
        time.sleep(self._seconds)
        return float(amount * 5_000)


@asynccontextmanager
async def giving(server: Server) -> AsyncIterator[None]:
    await server.credits.grant("ada", GIVEN, "a gift")
    yield


def serving(seconds: float) -> Server:
    def price(request: AddressAnalysis) -> int:
        return 5 * request.hops

    analyses = compliance(bundled_store(), prices=Prices(seconds), price=price)
    plugins = [analyses, Plugin("gifts", lifespan=giving), probe()]
    return Server(plugins, auth=StaticTokens(USERS), credits=MemoryLedger())


app = serving(0).asgi()
slow = serving(1).asgi()
