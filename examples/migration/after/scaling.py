import os

from lbproto import Context, Event, Plugin, Server
from lbproto.backends.redis_pubsub import RedisPubSub
from migration.users import users

REDIS = os.environ.get(
    "REDIS_URL", "redis://localhost:6379/0"
)


class TellAll(Event):
    text: str


class News(Event):
    text: str


plugin = Plugin("news")
plugin.emits(News)


@plugin.room("everyone", announce=False, automatic=True)
async def everyone(ctx: Context) -> None:
    """Every session is in it from the beginning."""


@plugin.on(TellAll)
async def tell_all(
    ctx: Context, request: TellAll
) -> None:
    ctx.to("everyone").emit(News(request.text))


server = Server(
    [plugin],
    auth=users,
    pubsub=RedisPubSub(REDIS),
)
app = server.asgi()
