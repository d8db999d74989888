from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from lbproto import Context, Event, Plugin, Server
from migration.users import users


class MyResponse(Event):
    data: str


class MyEvent(Event):
    data: str


class MyBroadcastEvent(Event):
    data: str


class Join(Event):
    room: str


class Leave(Event):
    room: str


class CloseRoom(Event, event="close room"):
    room: str


class MyRoomEvent(Event):
    room: str
    data: str


class DisconnectRequest(
    Event, event="disconnect request"
):
    pass


async def tick(server: Server) -> None:
    answer = MyResponse("Server generated event")
    while True:
        await server.clock.sleep(10)
        server.to("everyone").emit(answer)


@asynccontextmanager
async def ticking(
    server: Server,
) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tick, server)
        yield
        tasks.cancel_scope.cancel()


plugin = Plugin("whole", lifespan=ticking)
plugin.emits(MyResponse)


@plugin.room("everyone", announce=False, automatic=True)
async def everyone(ctx: Context) -> MyResponse:
    return MyResponse("Connected")


@plugin.room("{name}", announce=False)
async def any_room(ctx: Context, name: str) -> None:
    """Everybody may come into any room."""


@plugin.on(MyEvent)
async def my_event(
    ctx: Context, request: MyEvent
) -> MyResponse:
    return MyResponse(request.data)


@plugin.on(MyBroadcastEvent)
async def broadcast(
    ctx: Context, request: MyBroadcastEvent
) -> None:
    ctx.to("everyone").emit(MyResponse(request.data))


@plugin.on(Join, repeatable=True)
async def join(
    ctx: Context, request: Join
) -> MyResponse:
    await ctx.join(request.room)
    return MyResponse(f"Entered room: {request.room}")


@plugin.on(Leave, repeatable=True)
async def leave(
    ctx: Context, request: Leave
) -> MyResponse:
    ctx.leave(request.room)
    return MyResponse(f"Left room: {request.room}")


@plugin.on(CloseRoom)
async def close(
    ctx: Context, request: CloseRoom
) -> None:
    room = request.room
    answer = MyResponse(f"Room {room} is closing.")
    ctx.to(room).emit(answer)
    for member in await server.members(room):
        await server.kick(member.user_id, room)


@plugin.on(MyRoomEvent)
async def to_room(
    ctx: Context, request: MyRoomEvent
) -> None:
    ctx.to(request.room).emit(MyResponse(request.data))


@plugin.on(DisconnectRequest)
async def disconnect(
    ctx: Context, request: DisconnectRequest
) -> None:
    await server.disconnect(ctx.user_id)


server = Server([plugin], auth=users)
app = server.asgi()
