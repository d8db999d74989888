from typing import Any

from lbproto import (
    Context,
    Endpoint,
    Event,
    Plugin,
    Server,
)
from migration.users import users


class Known(Event):
    text: str


class Answer(Event):
    text: str


class Unknown(Event):
    event: str
    data: list[Any]


plugin = Plugin("known")
plugin.emits(Unknown)


@plugin.on(Known)
async def known(ctx: Context, request: Known) -> Answer:
    return Answer(request.text)


async def any_event(
    ctx: Context, call_next: Endpoint
) -> None:
    if ctx.route is not None:
        await call_next(ctx)
    else:
        data = ctx.inbound.arguments.values()
        ctx.emit(Unknown(ctx.inbound.name, data))


server = Server(
    [plugin], auth=users, middleware=[any_event]
)
app = server.asgi()
