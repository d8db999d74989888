from lbproto import (
    Context,
    Plugin,
    Recovery,
    Server,
    Unauthorized,
)
from migration.users import users

plugin = Plugin("presence")


@plugin.room("lobby", automatic=True)
async def lobby(ctx: Context) -> None:
    """The others are told who comes and goes."""


def comes_or_goes(occupied: bool, user_id: str) -> None:
    print(
        user_id, "has", "come" if occupied else "gone"
    )


@plugin.room(
    "here:{user_id*}",
    announce=False,
    automatic=True,
    occupancy=comes_or_goes,
)
async def here(ctx: Context, user_id: str) -> None:
    if user_id != ctx.user_id:
        raise Unauthorized("That is not you")


server = Server(
    [plugin],
    auth=users,
    recovery=Recovery(grace=1),  # by default 15 s
)
app = server.asgi()
