"""A chat room: members see who comes and goes, and newcomers what was said last.

lbproto serve chat_room:server
"""

from collections import defaultdict, deque
from typing import Annotated

from msgspec import Meta

from lbproto import Context, Event, Model, NotFound, Plugin, Server, StaticTokens


class Line(Model):
    user: str
    text: str


class Say(Event):
    room: str
    text: Annotated[str, Meta(min_length=1, max_length=1_000)]


class Said(Event):
    room: str
    line: Line


class SaidBefore(Event):
    room: str
    lines: list[Line]


def chat_rooms(names: set[str]) -> Plugin:
    plugin = Plugin("chat_rooms")
    plugin.emits(Said)
    said = defaultdict[str, deque[Line]](lambda: deque(maxlen=50))

    @plugin.room("room:{name}")  # members are told of those who join and leave
    async def join(ctx: Context, name: str) -> SaidBefore:
        if name not in names:
            raise NotFound(f"There is no such room. Rooms: {', '.join(sorted(names))}")
        return SaidBefore(name, list(said[name]))

    @plugin.on(Say)
    async def say(ctx: Context, request: Say) -> None:
        if request.room not in names:
            raise NotFound(f"There is no such room. Rooms: {', '.join(sorted(names))}")
        line = Line(ctx.user_id, request.text)
        said[request.room].append(line)
        ctx.to(f"room:{request.room}").emit(Said(request.room, line))

    return plugin


users = StaticTokens({"secret": "alice", "other": "bob"})
server = Server([chat_rooms({"lobby", "tea"})], auth=users)
