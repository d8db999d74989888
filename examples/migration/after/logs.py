import logging

from lbproto import (
    Context,
    Endpoint,
    Event,
    Plugin,
    Server,
)
from lbproto.logging import configure, in_request
from migration.users import users

logger = logging.getLogger(__name__)


class Work(Event):
    pass


plugin = Plugin("work")


@plugin.on(Work)
async def work(ctx: Context, request: Work) -> None:
    """The request is acknowledged."""


async def log(
    ctx: Context, call_next: Endpoint
) -> None:
    logger.info("asked for %s", ctx.inbound.shown_name)
    await call_next(ctx)


configure("text", "info")
server = Server(
    [plugin], auth=users, middleware=[in_request, log]
)
app = server.asgi()
