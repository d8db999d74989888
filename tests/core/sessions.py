"""A server of rooms, and its clients: what tests of sessions stand on."""

from __future__ import annotations

from typing import Any

import msgspec

from lbproto import (
    Context,
    Event,
    Identity,
    NotFound,
    Plugin,
    Server,
    Unauthorized,
)
from lbproto.sessions.session import Session
from lbproto.testing import START, VirtualClock
from lbproto.wire import Inbound, Peer, Unavailable, WireFormat
from lbproto.wire.arguments import JSONArguments, ObjectArguments
from tests.core.harness import FORMATS, MemorySocket, Sent

JSON = FORMATS["socketio-json"]


class Note(Event):
    number: int
    text: str = ""


class Nudge(Event):
    """Asks the client for its opinion."""


class Opinion(Event):
    liked: bool


class Own(Event):
    application_id: str = "default"


class Owned(Event):
    application_id: str


class Rooms:
    """Rooms whose owner may change its mind.

    Attributes:
        open: whether anybody may come.
        says: how much is said in a room while somebody is let in, behind their snapshot; then they
            themselves are told something.
    """

    def __init__(self) -> None:
        self.open = True
        self.says = 0

    def plugin(self) -> Plugin:
        plugin = Plugin("rooms")
        plugin.emits(Note, Opinion)

        @plugin.room("room:{name}")
        async def join(ctx: Context, name: str) -> None:
            if not self.open:
                raise NotFound("The room is closed")
            if self.says:
                ctx.mark_snapshot()
                for number in range(self.says):
                    ctx.to(f"room:{name}").emit(Note(number=number))
                ctx.to(f"user:{ctx.user_id}").emit(Owned(application_id=""))

        @plugin.on(Nudge)
        async def nudge(ctx: Context, request: Nudge) -> Note:
            liked = await ctx.emit_with_ack(Opinion(liked=True), Opinion, timeout=5.0)
            return Note(number=int(liked.liked))

        @plugin.on(Own)
        async def own(ctx: Context, request: Own) -> Owned:
            await ctx.authorize(request.application_id)
            return Owned(application_id=request.application_id)

        return plugin


class Tokens:
    """A token is `<user>`, or `<user>/<seconds>` for one whose life ends after so many."""

    async def authenticate(self, token: str, peer: Peer) -> Identity:
        user, _, seconds = token.partition("/")
        if not user:
            raise Unauthorized("no token")
        claims = {"applications": ["acme"]} if user == "ada" else {}
        return Identity(user, claims, START + float(seconds) if seconds else None)


class Connected:
    """A connection of a client, and what it is told."""

    def __init__(self, socket: MemorySocket, told: list[Sent]) -> None:
        self.socket = socket
        self.told = told

    @property
    def session(self) -> Session:
        session: Session = self.socket.state
        return session

    @property
    def resume(self) -> dict[str, Any]:
        """What a stock client shows when it comes back: its pid, and the last offset it has got."""
        return self.resume_at(-1)

    def resume_at(self, frame: int) -> dict[str, Any]:
        """The same of one that has got this frame, and none after it."""
        (message,) = self.socket.frames[frame].messages
        assert isinstance(message, str)
        values = msgspec.json.decode(message.removeprefix("42"))
        offset = values["offset"] if isinstance(values, dict) else values[-1]
        return {"pid": self.socket.pid, "offset": offset}

    @property
    def names(self) -> list[str]:
        return [sent.name for sent in self.told]

    def take(self) -> list[Sent]:
        return self.socket.take()


async def come(
    server: Server, user: str = "ada", format_: WireFormat = JSON, **auth: Any
) -> Connected:
    socket = MemorySocket(format_)
    await server.sessions.authenticate(socket, ObjectArguments([{"token": user, **auth}]))
    await server.sessions.opened(socket)
    return Connected(socket, socket.take())


def lose(server: Server, client: Connected, reason: str = "transport close") -> None:
    server.sessions.closed(client.socket, reason)


async def request(server: Server, client: Connected, event: str, **data: Any) -> list[Sent]:
    raw = msgspec.Raw(msgspec.json.encode(data))
    await server.sessions.event(client.socket, Inbound(event, JSONArguments([raw]), None))
    return client.take()


async def subscribe(server: Server, client: Connected, room: str = "room:a") -> int:
    (subscribed,) = await request(server, client, "subscribe", room=room)
    count: int = subscribed.data["subscriberCount"]
    return count


async def come_or_none(server: Server, **auth: Any) -> Connected | None:
    try:
        return await come(server, **auth)
    except Unavailable:
        return None


def serve(rooms: Rooms, clock: VirtualClock, **options: Any) -> Server:
    return Server([rooms.plugin()], auth=Tokens(), clock=clock, **options)
