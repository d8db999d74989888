from lbproto import Context, Event, Plugin, Server
from migration.users import users


class TellMe(Event):
    text: str


class TellUser(Event):
    user_id: str
    text: str


class TellAll(Event):
    text: str


class News(Event):
    text: str


plugin = Plugin("news")
plugin.emits(News)


@plugin.room("everyone", announce=False, automatic=True)
async def everyone(ctx: Context) -> None:
    """Every session is in it from the beginning."""


@plugin.on(TellMe)
async def tell_me(
    ctx: Context, request: TellMe
) -> News:
    return News(request.text)


@plugin.on(TellUser)
async def tell_user(
    ctx: Context, request: TellUser
) -> None:
    server.to_user(request.user_id).emit(
        News(request.text)
    )


@plugin.on(TellAll)
async def tell_all(
    ctx: Context, request: TellAll
) -> None:
    ctx.to("everyone").emit(News(request.text))


server = Server([plugin], auth=users)
app = server.asgi()
