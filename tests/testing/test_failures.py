"""What a test is told that fails, and what the kit notices by itself."""

from __future__ import annotations

from typing import Any

import pytest

from lbproto import Context, Event, Model, Plugin, Server
from lbproto.frame import frame_of
from lbproto.messages import Ping, Pong
from lbproto.testing import ContractViolation, Serve, Wire, connect, settle

pytestmark = pytest.mark.anyio

wires = pytest.mark.parametrize(
    "wire", ["socketio-json", "socketio-msgpack", "plain-json", "plain-msgpack"]
)


class Price(Model):
    amount: float


class PriceWithTax(Price):
    tax: float


class Quote(Event):
    symbol: str
    price: Price = Price(amount=1.0)


class Order(Event):
    symbol: str


class Unknown(Event):
    """Not declared by any plugin."""


def quotes() -> Plugin:
    plugin = Plugin("quotes")
    plugin.emits(Quote)

    @plugin.on(Order)
    async def order(ctx: Context, request: Order) -> Quote:
        await ctx.clock.sleep(3600)
        return Quote(symbol=request.symbol)

    return plugin


async def test_an_event_that_did_not_come(serve: Serve) -> None:
    async with serve(quotes()) as server, connect(server, "ada") as client:
        server.to_user("ada").emit(Quote(symbol="ETH"))
        with pytest.raises(AssertionError) as failure:
            await client.expect(Quote, symbol="BTC", timeout=2)
    told = str(failure.value)
    assert told.startswith("Quote(symbol='BTC') did not come within 2 s\n  but Quote(symbol='ETH'")
    assert '< quote      {"symbol":"ETH"}' in told


async def test_a_field_that_there_is_not(serve: Serve) -> None:
    async with serve(quotes()) as server, connect(server, "ada") as client:
        with pytest.raises(TypeError, match="Quote has no field 'sybmol'"):
            await client.expect(Quote, sybmol="BTC")


async def test_something_where_nothing_was_expected(serve: Serve) -> None:
    async with serve(quotes()) as server, connect(server, "ada") as client:
        server.to_user("ada").emit(Quote(symbol="ETH"))
        with pytest.raises(AssertionError, match="nothing was expected, but `quote` came"):
            await client.expect_nothing()
        with pytest.raises(AssertionError, match="nothing was expected within 3 s, but `quote`"):
            await client.expect_nothing(Quote, seconds=3)


@wires
async def test_an_answer_that_did_not_come(serve: Serve, wire: Wire) -> None:
    async with serve(quotes()) as server, connect(server, "ada", wire=wire) as client:
        with pytest.raises(AssertionError, match="no answer to `order` came within 5 s") as failure:
            await client.request(Order(symbol="ETH"), timeout=5)
        assert '> order      {"symbol":"ETH"}  #1' in str(failure.value)


@wires
async def test_another_answer(serve: Serve, wire: Wire) -> None:
    async with serve(quotes()) as server, connect(server, "ada", wire=wire) as client:
        with pytest.raises(AssertionError, match=r"Quote does not answer `ping`: Pong\("):
            await client.request(Ping(), Quote)


async def test_a_connection_that_was_not_closed(serve: Serve) -> None:
    async with serve(quotes()) as server, connect(server, "ada") as client:
        with pytest.raises(AssertionError, match="the connection was not closed within 5 s"):
            await client.expect_closed(timeout=5)


BROKEN: list[tuple[Any, str]] = [
    (Quote(symbol=5), "`quote` at 0.000 s: Expected `str`, got `int` - at `$.symbol`"),  # type: ignore[arg-type]
    (
        Quote(symbol="ETH", price=PriceWithTax(amount=1.0, tax=0.2)),
        "`quote` at 0.000 s: Object has the undeclared field `tax` - at `$.price`",
    ),
    (Unknown(), "`unknown` at 0.000 s: no plugin declares it"),
    (
        Order(symbol="ETH"),
        "`order` at 0.000 s: it is declared as a request, for clients to send",
    ),
]


@wires
@pytest.mark.parametrize(("event", "violation"), BROKEN)
async def test_a_server_that_breaks_its_contract(
    serve: Serve, wire: Wire, event: Event, violation: str
) -> None:
    async with serve(quotes(), strict=False) as server:
        with pytest.raises(ContractViolation, match="the server broke its contract") as broken:
            async with connect(server, "ada", wire=wire):
                server.to_user("ada").emit(event)
        assert broken.value.violations == [violation]
        async with connect(server, "ada", wire=wire, check=False) as client:
            server.to_user("ada").emit(event)
            await settle()
            assert client.violations == [violation]
            assert f"!! {violation.partition(': ')[2]}" in str(client.transcript)


async def told(server: Server, event: Event, expected: type[Event]) -> None:
    """Have a client told one event that expects another."""
    async with connect(server, "ada") as client:
        server.to_user("ada").emit(event)
        await client.expect(expected)


async def test_a_violation_is_noted_where_the_test_fails_anyway(serve: Serve) -> None:
    async with serve(quotes(), strict=False) as server:
        with pytest.raises(AssertionError, match="did not come") as failure:
            await told(server, Unknown(), Pong)
    assert "no plugin declares it" in failure.value.__notes__[0]


async def test_messages_that_no_client_can_read(serve: Serve) -> None:
    async with serve() as server, connect(server, "ada", check=False) as client:
        (connection,) = server.runtime.connections
        connection.push(frame_of(b"9"))
        await settle()
        assert client.violations == [
            "`(unreadable)` at 0.000 s: neither a packet nor an attachment that was announced"
        ]


async def test_a_failure_shows_the_end_of_a_long_conversation(serve: Serve) -> None:
    async with serve(quotes()) as server, connect(server, "ada") as client:
        for number in range(30):
            server.to_user("ada").emit(Quote(symbol=f"{number}" * 200))
        with pytest.raises(AssertionError) as failure:
            await client.expect(Pong)
    lines = str(failure.value).splitlines()
    assert lines[2] == "(12 rows before)"
    assert len(lines) == 23
    assert max(map(len, lines)) < 170
