from lbproto import Context, Event, Plugin, Server, StaticTokens


class Greet(Event):  # "greet" on the wire
    name: str


class Greeting(Event):
    text: str


plugin = Plugin("hello")


@plugin.room("lobby")
async def lobby(ctx: Context) -> None:
    """Clients subscribe to it; raise Unauthorized to keep one out."""


@plugin.on(Greet)
async def greet(ctx: Context, request: Greet) -> Greeting:
    greeting = Greeting(text=f"Hello {request.name}, from {ctx.user_id}")
    ctx.to("lobby").emit(greeting)  # pushed to the room
    return greeting  # answers the client


server = Server(plugins=[plugin], auth=StaticTokens({"secret": "alice"}))
