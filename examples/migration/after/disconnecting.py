from lbproto import Context, Event, Plugin, Server
from migration.users import users


class Leave(Event, event="disconnect request"):
    pass


plugin = Plugin("leaving")


@plugin.on(Leave)
async def leave(ctx: Context, request: Leave) -> None:
    await server.disconnect(ctx.user_id)


server = Server([plugin], auth=users)
app = server.asgi()
