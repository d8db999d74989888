"""A request that is counted against limits and paid for, in memory: all that it costs in process.

The floor is the same request without limits and without a price. Whoever asks is told of what was
spent, as a client is: two events, which go to a socket that nobody reads.
"""

from __future__ import annotations

from msgspec import Raw

from benchmarks.lbproto_server import OrderPlaced, PlaceOrder
from benchmarks.micro.limits import LIMITS, Nowhere
from benchmarks.micro.operation import Operation, Prepared, done
from lbproto import Context, Identity, Plugin, Recovery, Server, Session, StaticTokens
from lbproto.ledger.memory import MemoryLedger
from lbproto.wire import Inbound
from lbproto.wire.arguments import JSONArguments
from lbproto_credits import accounts

__all__ = ["OPERATIONS"]

SERVE = "serve a request, counted and paid for"
_MANY = 10**12
_ORDER = Raw(b'{"symbol":"BTCUSDT","side":"buy","qty":0.5,"price":67012.5}')


def _orders(price: int | None) -> Plugin:
    plugin = Plugin("orders")

    @plugin.on(PlaceOrder, price=price)
    async def place(ctx: Context, order: PlaceOrder) -> OrderPlaced:
        return OrderPlaced(order_id="1", symbol=order.symbol, status="filled", filled=order.qty)

    return plugin


def _serving(server: Server) -> Prepared:
    socket, hub = Nowhere(), server._hub  # noqa: SLF001 - as when it has connected
    session = Session(Identity("user"), socket, hub.offset, 0, Recovery().max_bytes_alone)
    session.attach(socket)
    session.catch_up()
    socket.state = session
    hub._rooms.add(session.personal_room, session)  # noqa: SLF001 - likewise
    inbound = Inbound("place_order", JSONArguments((_ORDER,)), 1)
    event = server.sessions.event

    def run(times: int) -> None:
        for _ in range(times):
            done(event(socket, inbound))

    return run


def _paid() -> Prepared:
    plugins = [_orders(5), accounts()]
    server = Server(plugins, auth=StaticTokens({}), limits=LIMITS, credits=MemoryLedger())
    done(server.credits.grant("user", _MANY, "gift"))
    return _serving(server)


def _floor() -> Prepared:
    return _serving(Server([_orders(None)], auth=StaticTokens({})))


OPERATIONS = (
    Operation(SERVE, "floor", _floor),
    Operation(SERVE, "lbproto", _paid),
)
"""Both."""
