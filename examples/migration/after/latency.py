from lbproto import Context, Event, Plugin, Server
from migration.users import users


class PingFromClient(Event):
    pass


class PongFromServer(Event):
    pass


plugin = Plugin("latency")


@plugin.on(PingFromClient)
async def ping(
    ctx: Context, request: PingFromClient
) -> PongFromServer:
    return PongFromServer()


server = Server([plugin], auth=users)
app = server.asgi()
