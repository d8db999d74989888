from lbproto import Context, Event, Plugin, Server, StaticTokens


class Greet(Event):  # "greet" on the wire
    name: str


class Greeting(Event):
    text: str


plugin = Plugin("hello")


@plugin.on(Greet)
async def greet(ctx: Context, request: Greet) -> Greeting:
    return Greeting(text=f"Hello {request.name}, from {ctx.user_id}")


server = Server(plugins=[plugin], auth=StaticTokens({"secret": "alice"}))
