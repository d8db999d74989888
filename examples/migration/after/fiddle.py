from lbproto import Context, Event, Plugin, Server
from migration.users import users


class Hello(Event):
    first: int
    second: int
    hello: str


plugin = Plugin("fiddle")


@plugin.room("fiddle", announce=False, automatic=True)
async def join(ctx: Context) -> Hello:
    return Hello(1, 2, hello="you")


server = Server([plugin], auth=users)
app = server.asgi()
