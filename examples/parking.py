"""A domain from scratch: a car park with places to take, give back and watch.

lbproto serve parking:server
"""

from lbproto import Context, ErrorEvent, Event, Overloaded, Plugin, Server, StaticTokens


class Park(Event):
    plate: str


class Leave(Event):
    plate: str


class Parked(Event):
    plate: str
    place: int


class ParkingError(ErrorEvent):
    plate: str


class FreePlaces(Event):
    count: int


def parking(places: int) -> Plugin:
    plugin, taken = Plugin("parking"), dict[str, int]()
    free = list(range(places, 0, -1))

    @plugin.on(Park, refused=ParkingError)
    async def park(ctx: Context, request: Park) -> Parked:
        if request.plate not in taken:
            if not free:
                raise Overloaded("Every place is taken", retry_after=60)
            taken[request.plate] = free.pop()
            ctx.to("parking").emit(FreePlaces(len(free)))
        return Parked(request.plate, taken[request.plate])

    @plugin.on(Leave, refused=ParkingError, repeatable=True)
    async def leave(ctx: Context, request: Leave) -> FreePlaces:
        if request.plate in taken:
            free.append(taken.pop(request.plate))
            ctx.to("parking", except_=[ctx.session.sid]).emit(FreePlaces(len(free)))
        return FreePlaces(len(free))

    @plugin.room("parking", announce=False, example="parking")
    async def join(ctx: Context) -> FreePlaces:
        return FreePlaces(len(free))

    return plugin


server = Server([parking(2)], auth=StaticTokens({"secret": "alice"}))
