"""The old server and the new one in one process.

uvicorn migration.both:app --app-dir examples

Old clients stay at /socket.io/; new ones name the path
/v2/socket.io/.
"""

from typing import Any

import msgspec
import socketio
from starlette.applications import Starlette
from starlette.routing import Mount

from lbproto import Context, Event, Plugin, Server
from migration.users import users


class TellAll(Event):
    text: str


class News(Event):
    text: str


async def tell_everyone(event: Event) -> None:
    """Tell clients of both servers."""
    server.to("everyone").emit(event)
    data = msgspec.to_builtins(event)
    await sio.emit(event.event_name, data)


sio = socketio.AsyncServer(async_mode="asgi")


async def tell_all_before(
    sid: str, data: dict[str, Any]
) -> None:
    await tell_everyone(News(data["text"]))


sio.on("tell_all", tell_all_before)

plugin = Plugin("news")
plugin.emits(News)


@plugin.room("everyone", announce=False, automatic=True)
async def everyone(ctx: Context) -> None:
    """Every session is in it from the beginning."""


@plugin.on(TellAll)
async def tell_all(
    ctx: Context, request: TellAll
) -> None:
    await tell_everyone(News(request.text))


server = Server([plugin], auth=users)
new = Starlette(
    routes=[Mount("/v2", server.asgi())],
    lifespan=server.lifespan,
)
app = socketio.ASGIApp(sio, other_asgi_app=new)
