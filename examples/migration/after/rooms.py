from lbproto import Context, Event, Plugin, Server
from migration.users import users


class BeginChat(Event):
    pass


class ExitChat(Event):
    pass


class MyMessage(Event):
    text: str


class MyReply(Event):
    text: str


class EndChat(Event):
    pass


plugin = Plugin("chat")
plugin.emits(MyReply)
ROOM = "chat_users"


@plugin.room(ROOM, announce=False)
async def may_join(ctx: Context) -> None:
    """Raise `Unauthorized` for those who may not."""


@plugin.on(BeginChat, repeatable=True)
async def begin_chat(
    ctx: Context, request: BeginChat
) -> None:
    await ctx.join(ROOM)


@plugin.on(ExitChat, repeatable=True)
async def exit_chat(
    ctx: Context, request: ExitChat
) -> None:
    ctx.leave(ROOM)


@plugin.on(MyMessage)
async def my_message(
    ctx: Context, request: MyMessage
) -> None:
    others = ctx.to(ROOM, except_=[ctx.session.sid])
    others.emit(MyReply(request.text))


@plugin.on(EndChat)
async def end_chat(
    ctx: Context, request: EndChat
) -> None:
    for member in await server.members(ROOM):
        await server.kick(member.user_id, ROOM)


server = Server([plugin], auth=users)
app = server.asgi()
