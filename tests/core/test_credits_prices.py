"""What may be a price, and what is none."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from lbproto import Context, Event, Plugin, UsageError
from lbproto.ledger.memory import MemoryLedger
from tests.core.crediting import account_of
from tests.core.harness import connected, make_server, running

pytestmark = pytest.mark.anyio


class Work(Event):
    units: int = 1


class Done(Event):
    pass


def desk(price: Any) -> Plugin:
    plugin = Plugin("desk")

    @plugin.on(Work, price=price)
    async def work(ctx: Context, request: Work) -> Done:
        return Done()

    return plugin


@pytest.fixture
def store() -> MemoryLedger:
    return MemoryLedger()


async def price_later(request: Work) -> int:
    await anyio.lowlevel.checkpoint()
    return request.units


@pytest.mark.parametrize("price", [lambda request: request.units, price_later])
async def test_a_price_may_depend_on_the_request(store: MemoryLedger, price: Any) -> None:
    async with running(desk(price), credits=store) as server:
        await server.credits.grant("ada", 5, "a gift")
        client = await connected(server)
        await client.ask("work", {"units": 3})
        assert await account_of(server) == (2, 2)
        (refusal,) = await client.ask("work", {"units": 3})
        assert refusal.data == {"required": 3, "available": 2, "action": "work"}
        await client.ask("work", {"units": 0})
        assert await account_of(server) == (2, 2)
        (refusal,) = await client.ask("work", {"units": "many"})
        assert refusal.name == "validation_error"


@pytest.mark.parametrize("price", [-1, 1.5, True, None, "2"])
async def test_what_is_no_price_is_our_failure(
    store: MemoryLedger, price: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(desk(lambda request: price), credits=store) as server:
        await server.credits.grant("ada", 5, "a gift")
        client = await connected(server)
        (refusal,) = await client.ask("work")
        assert refusal.data["code"] == "INTERNAL"
        assert f"'work' has the price {price!r}" in caplog.text
        assert await account_of(server) == (5, 5)


@pytest.mark.parametrize("price", [-1, 1.5, True, "2", 2**53, lambda: 1])
def test_what_is_no_price_is_told_at_registration(price: Any) -> None:
    with pytest.raises(UsageError, match="a price is a whole number of credits"):
        Plugin("desk").on(Work, price=price)


def test_a_price_needs_a_store() -> None:
    with pytest.raises(UsageError, match=r"'work' of plugin 'desk' has a price, .*MemoryLedger"):
        make_server(desk(1))
