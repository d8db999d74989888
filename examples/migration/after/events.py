from lbproto import Context, Event, Plugin, Server
from migration.users import users


class MyEvent(Event):  # "my_event" on the wire
    data: str


class MyResponse(Event):
    data: str


class Custom(Event, event="my custom event"):
    data: str


class CustomResponse(Event, event="my custom response"):
    data: str


plugin = Plugin("events")


@plugin.on(MyEvent)
async def my_event(
    ctx: Context, request: MyEvent
) -> MyResponse:
    return MyResponse(request.data)


@plugin.on(Custom)
async def custom(
    ctx: Context, request: Custom
) -> CustomResponse:
    return CustomResponse(request.data)


server = Server([plugin], auth=users)
app = server.asgi()
