from lbproto import (
    Context,
    Event,
    NotFound,
    Plugin,
    Server,
)
from migration.users import users


class Order(Event):
    symbol: str


class OrderPlaced(Event):
    number: int


plugin = Plugin("orders")


@plugin.on(Order)
async def order(
    ctx: Context, request: Order
) -> OrderPlaced:
    if request.symbol != "ACME":
        raise NotFound("There is no such symbol")
    return OrderPlaced(number=123)


server = Server([plugin], auth=users)
app = server.asgi()
