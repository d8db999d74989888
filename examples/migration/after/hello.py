from lbproto import (
    Context,
    Event,
    Plugin,
    Server,
    StaticTokens,
)


class Greet(Event):
    name: str


class Greeting(Event):
    text: str


plugin = Plugin("hello")


@plugin.on(Greet)
async def greet(
    ctx: Context, request: Greet
) -> Greeting:
    return Greeting(text=f"Hello {request.name}")


users = StaticTokens(
    {"secret": "alice", "other": "bob"}
)
server = Server([plugin], auth=users)
app = server.asgi()
