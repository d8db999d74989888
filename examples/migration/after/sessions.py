from lbproto import Context, Event, Plugin, Server
from migration.users import users


class SetColor(Event):
    color: str


class WhoAmI(Event):
    pass


class You(Event):
    user_id: str
    color: str


plugin = Plugin("colors")


@plugin.on(SetColor)
async def set_color(
    ctx: Context, request: SetColor
) -> None:
    color = request.color.encode()
    await ctx.storage.put(
        f"colors/{ctx.user_id}", color
    )


@plugin.on(WhoAmI)
async def who_am_i(
    ctx: Context, request: WhoAmI
) -> You:
    color = await ctx.storage.get(
        f"colors/{ctx.user_id}"
    )
    return You(ctx.user_id, (color or b"grey").decode())


server = Server([plugin], auth=users)
app = server.asgi()
