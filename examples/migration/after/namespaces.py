from lbproto import Context, Event, Plugin, Server
from migration.users import users


class Quote(Event):
    symbol: str


class Price(Event):
    symbol: str
    price: int


class Say(Event):
    text: str


class Said(Event):
    text: str


def market(price: int) -> Plugin:
    plugin = Plugin("market")

    @plugin.on(Quote)
    async def quote(
        ctx: Context, request: Quote
    ) -> Price:
        return Price(request.symbol, price)

    return plugin


def chat() -> Plugin:
    plugin = Plugin("chat")

    @plugin.on(Say)
    async def say(ctx: Context, request: Say) -> Said:
        return Said(request.text)

    return plugin


server = Server(
    [market(price=100), chat()],
    auth=users,
    namespaces=["/", "/market", "/chat"],
)
app = server.asgi()
