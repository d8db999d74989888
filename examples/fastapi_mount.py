"""FastAPI, with a server mounted under /realtime: both know users by the same tokens.

    uvicorn fastapi_mount:app --app-dir examples

Post to /orders/ACME, and whoever has subscribed to `orders` hears of it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from lbproto import Context, Event, Plugin, Server, StaticTokens, Unauthorized
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


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with server.lifespan(app):  # beside whatever else the host opens
        yield


app = FastAPI(lifespan=lifespan)
app.mount("/realtime", server.asgi())


async def signed_in(shown: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> str:
    try:
        return (await tokens.authenticate(shown.credentials, Peer())).user_id
    except Unauthorized as refusal:
        raise HTTPException(401, str(refusal)) from None


@app.post("/orders/{symbol}")
async def place(symbol: str, user_id: Annotated[str, Depends(signed_in)]) -> dict[str, int]:
    receipt = server.to("orders").emit(OrderPlaced(user_id, symbol))
    return {"told": receipt.queued}
