"""Tests of the ticker: no socket is opened, and nobody waits for a second to pass.

pytest examples/test_ticker.py
"""

import pytest
from ticker import Tick, ticker

from lbproto.messages import Error, Subscribe, Subscribed
from lbproto.testing import Serve, VirtualClock, connect

pytest_plugins = ["lbproto.testing.fixtures"]  # in a project: in the topmost conftest.py
pytestmark = pytest.mark.anyio


async def test_a_room_shows_the_price_and_goes_on(serve: Serve) -> None:
    async with serve(ticker("ACME")) as server, connect(server, "alice") as alice:
        assert await alice.request(Subscribe(room="ticks:ACME")) == Subscribed("ticks:ACME", 1)
        assert await alice.expect(Tick) == Tick("ACME", 100)
        await alice.expect(Tick, price=101, timeout=1)
        await alice.expect_nothing(seconds=0.9)


async def test_other_rooms_are_refused(serve: Serve) -> None:
    async with serve(ticker("ACME")) as server, connect(server, "alice") as alice:
        refusal = await alice.request(Subscribe(room="ticks:DOGE"), Error)
        assert refusal.code == "NOT_FOUND"


async def test_who_was_away_is_told_the_newest_price(serve: Serve, clock: VirtualClock) -> None:
    async with serve(ticker("ACME")) as server, connect(server, "alice") as alice:
        await alice.request(Subscribe(room="ticks:ACME"), Subscribed)
        assert await alice.expect(Tick) == Tick("ACME", 100)
        alice.drop()
        await clock.advance(3)
        await alice.reconnect()
        assert alice.recovered
        assert await alice.take(Tick) == [Tick("ACME", 103)]
