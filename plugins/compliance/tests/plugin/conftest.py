"""A store with a small ledger in it, whose payments are known."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from inspect import signature
from pathlib import Path
from typing import Any

import anyio
import pytest

from lbproto import Event, Server
from lbproto.testing import Client, Wire, connect, serve
from lbproto_compliance.plugin import compliance
from lbproto_compliance.sources import Attribution, Batch, Transfer
from lbproto_compliance.store import Snapshot, Store


class Ledger:
    """A chain of accounts, with a block every hour from 2024-03-01 on.

    Attributes:
        store: what it is in.
    """

    chain = "ethereum"

    def __init__(self, directory: Path) -> None:
        self.store = Store(directory)

    def address(self, number: int) -> str:
        """A made-up address."""
        return f"0x{number:040x}"

    def pays(
        self, height: int, sender: int, receiver: int, value: int, asset: str = "ETH"
    ) -> Transfer:
        """A transfer in a transaction of its own."""
        return Transfer(
            height=height,
            timestamp=datetime(2024, 3, 1) + timedelta(hours=height),  # noqa: DTZ001 - the store's
            tx_index=sender,
            position=0,
            tx_hash=f"0x{height:032x}{sender:032x}",
            sender=self.address(sender),
            receiver=self.address(receiver),
            asset=asset,
            value=str(value),
        )

    def said(
        self, number: int, category: str, country: str | None = None, confidence: float = 1.0
    ) -> Attribution:
        """What a list says of an address."""
        return Attribution(
            address=self.address(number),
            label=f"{category} {number}",
            category=category,
            source=f"list of {category} {country} {confidence} {number}",
            source_url=None,
            listed_on=None,
            confidence=confidence,
            country=country,
            entity=None,
        )

    def add(self, transfers: Sequence[Transfer], said: Sequence[Attribution] = ()) -> Snapshot:
        """Import payments, and who is who."""
        chain = self.store.chain(self.chain)
        staging = chain.stage()
        name = str(len(chain.snapshots()))
        staging.add(f"transfers {name}", "transfers", Batch(list(transfers), [], name, 1))
        staging.add(f"said {name}", "attributions", Batch(list(said), [], name, 1))
        return chain.commit(staging)

    @asynccontextmanager
    async def served(
        self, wire: Wire = "socketio-json", **options: Any
    ) -> AsyncIterator[tuple[Server, Client]]:
        """A server of the plugin, and a client of it.

        Args:
            wire: how the client speaks.
            options: the plugin's and the server's.
        """
        own = signature(compliance).parameters
        policy = {name: options.pop(name) for name in own if name in options}
        async with (
            serve(compliance(self.store, **policy), **options) as server,
            connect(server, "ada", wire=wire) as client,
        ):
            await client.take()
            yield server, client

    async def answer(self, client: Client, name: str, *ends: type[Event], **data: Any) -> list[Any]:
        """What comes of a request, up to one of these events."""
        client.emit({"event": name, "data": data})
        return await self.until(client, *ends)

    async def until(self, client: Client, *ends: type[Event]) -> list[Any]:
        """What comes, up to one of these events."""
        told: list[Any] = []
        with anyio.fail_after(60):
            while not any(isinstance(event, ends) for event in told):
                told += await client.take()
                await anyio.sleep(0.002)  # a worker thread has no clock that could be faked
        return told


@pytest.fixture(scope="session")
def new_ledger(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Ledger]:
    """Makes empty ones, for many tests to share."""
    return lambda: Ledger(tmp_path_factory.mktemp("chains"))


@pytest.fixture
def ledger(new_ledger: Callable[[], Ledger]) -> Ledger:
    """An empty one, for one test alone."""
    return new_ledger()
