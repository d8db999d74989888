"""Counts a user's visits in the server's storage.

lbproto serve visits:server
"""

from lbproto import Context, Event, NotFound, Plugin, Server, StaticTokens


class Visit(Event):
    place: str


class Visited(Event):
    place: str
    times: int


def visits(places: set[str]) -> Plugin:
    plugin = Plugin("visits")

    @plugin.on(Visit)
    async def visit(ctx: Context, request: Visit) -> Visited:
        if request.place not in places:
            raise NotFound(f"There is no such place. Places: {', '.join(sorted(places))}")
        times = await ctx.storage.increment(f"visits:{ctx.user_id}:{request.place}")
        return Visited(place=request.place, times=times)

    return plugin


server = Server(plugins=[visits({"paris", "rome"})], auth=StaticTokens({"secret": "alice"}))
