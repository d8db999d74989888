"""The registry as data: what documentation and the command line show of a server."""

from __future__ import annotations

from lbproto import Context, Event, Plugin, Server, StaticTokens
from lbproto.contract import events, rooms


class BookOrder(Event):
    """Place an order.

    More about it that no table has room for.
    """

    symbol: str
    limit_usd: int | None = None


class OrderBooked(Event):
    order_id: int


def orders() -> Plugin:
    plugin = Plugin("orders")

    @plugin.on(BookOrder)
    async def book(ctx: Context, request: BookOrder) -> OrderBooked:
        return OrderBooked(order_id=1)

    @plugin.room("desk:{desk}")
    async def join(ctx: Context, desk: str) -> None:
        return None

    return plugin


def test_events_are_described_as_they_are_on_the_wire() -> None:
    registry = Server([orders()], auth=StaticTokens({})).registry
    book, booked = [entry for entry in events(registry) if entry.plugin == "orders"]
    assert (book.name, book.inbound) == ("book_order", True)
    assert book.payload == "{symbol, limitUSD?}"
    assert book.summary == "Place an order."
    assert (booked.name, booked.inbound) == ("order_booked", False)


def test_every_declared_event_is_there_once_and_plugins_stay_together() -> None:
    registry = Server([orders()], auth=StaticTokens({})).registry
    entries = events(registry)
    names = [entry.name for entry in entries]
    assert sorted(names) == sorted([*registry.routes, *registry.emissions])
    assert [entry.plugin for entry in entries] == sorted(
        (entry.plugin for entry in entries), key=["system", "orders"].index
    )


def test_rooms_are_described() -> None:
    registry = Server([orders()], auth=StaticTokens({})).registry
    described = [(room.pattern, room.announces, room.plugin) for room in rooms(registry)]
    assert described == [("user:{user_id*}", False, "system"), ("desk:{desk}", True, "orders")]
