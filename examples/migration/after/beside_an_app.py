from fastapi import FastAPI

from lbproto import Context, Event, Plugin, Server
from migration.users import users


class Visited(Event):
    path: str


plugin = Plugin("visits")
plugin.emits(Visited)


@plugin.room("visits", announce=False)
async def visits(ctx: Context) -> None:
    """Clients that want to know subscribe to it."""


server = Server([plugin], auth=users)
api = FastAPI()


@api.get("/hello")
async def hello() -> dict[str, str]:
    server.to("visits").emit(Visited(path="/hello"))
    return {"message": "Hello, World!"}


app = server.asgi(fallback=api)
