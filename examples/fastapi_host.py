"""A FastAPI app whose routes push events to everyone in a room.

    uvicorn fastapi_host:app --app-dir examples

Post to /orders, and whoever has subscribed to `orders` hears of it.
"""

from fastapi import FastAPI

from lbproto import Context, Event, Plugin, Server, StaticTokens


class OrderPlaced(Event):
    order_id: int
    symbol: str


def orders() -> Plugin:
    plugin = Plugin("orders")
    plugin.emits(OrderPlaced)

    @plugin.room("orders", announce=False)
    async def join(ctx: Context) -> None:
        """Everyone may listen."""

    return plugin


server = Server(plugins=[orders()], auth=StaticTokens({"secret": "alice"}))
api = FastAPI()


@api.post("/orders/{symbol}")
async def place(symbol: str) -> dict[str, int]:
    receipt = server.to("orders").emit(OrderPlaced(order_id=1, symbol=symbol))
    return {"told": receipt.queued}


app = server.asgi(fallback=api)  # takes /socket.io/ and /ws; the rest is FastAPI's
