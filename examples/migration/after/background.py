from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from lbproto import Context, Event, Plugin, Server
from migration.users import users


class Counted(Event):
    number: int


async def count(server: Server) -> None:
    number = 0
    while True:
        await server.clock.sleep(0.5)
        number += 1
        server.to("count").emit(Counted(number))


@asynccontextmanager
async def counting(
    server: Server,
) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count, server)
        yield
        tasks.cancel_scope.cancel()


plugin = Plugin("count", lifespan=counting)
plugin.emits(Counted)


@plugin.room("count", announce=False, automatic=True)
async def listen(ctx: Context) -> None:
    """Every session is in it from the beginning."""


server = Server([plugin], auth=users)
app = server.asgi()
