"""Litestar, with a server mounted under /realtime: both know users by the same tokens.

uvicorn litestar_mount:app --app-dir examples

Post to /orders/ACME, and whoever has subscribed to `orders` hears of it.
"""

from typing import Annotated

from litestar import Litestar, asgi, post
from litestar.di import Provide
from litestar.exceptions import NotAuthorizedException
from litestar.params import Parameter

from lbproto import Context, Event, Plugin, Server, StaticTokens, Unauthorized
from lbproto.auth import strip_bearer
from lbproto.wire import Peer


class OrderPlaced(Event):
    user_id: str
    symbol: str


plugin = Plugin("orders")
plugin.emits(OrderPlaced)


@plugin.room("orders", announce=False)
async def join(ctx: Context) -> None:
    """Everyone may listen."""


tokens = StaticTokens({"secret": "alice"})
server = Server([plugin], auth=tokens)


async def signed_in(authorization: Annotated[str, Parameter(header="authorization")]) -> str:
    try:
        return (await tokens.authenticate(strip_bearer(authorization), Peer())).user_id
    except Unauthorized as refusal:
        raise NotAuthorizedException(str(refusal)) from None


@post("/orders/{symbol:str}", dependencies={"user_id": Provide(signed_in)})
async def place(symbol: str, user_id: str) -> dict[str, int]:
    receipt = server.to("orders").emit(OrderPlaced(user_id, symbol))
    return {"told": receipt.queued}


app = Litestar(
    [place, asgi("/realtime", is_mount=True, copy_scope=True)(server.asgi())],
    lifespan=[server.lifespan],
)
