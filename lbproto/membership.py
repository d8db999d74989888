"""How a session comes into a room and out of it: rights, the first message, and who is told.

Joining leaves neither a gap nor an overlap between the room's first message and its events: from
the moment whose state the first message shows, the session's events from the room are held back,
and let go behind it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lbproto.clock import Clock, iso_timestamp
from lbproto.context import Context
from lbproto.errors import InvalidRequest, LimitExceeded, Overloaded
from lbproto.events import Event
from lbproto.hub import Hub
from lbproto.messages import UserJoinedRoom, UserLeftRoom
from lbproto.presence import Presence
from lbproto.registry import Registry
from lbproto.rooms import Hold, Rooms
from lbproto.session import Session
from lbproto.transport import CloseCode

__all__ = ["Membership"]


class Membership:
    """The rooms of one server, as its sessions see them.

    Args:
        registry: which rooms there may be.
        rooms: who is where.
        hub: delivers what the others are told.
        clock: when it happened.
        max_rooms: how many rooms a session may be in, its personal one not counted.
    """

    def __init__(
        self, registry: Registry, rooms: Rooms, hub: Hub, clock: Clock, max_rooms: int
    ) -> None:
        self._registry = registry
        self._rooms = rooms
        self._hub = hub
        self._clock = clock
        self._max_rooms = max_rooms
        self._presences: dict[str, Presence] = {}

    def count(self, room: str) -> int:
        """How many sessions are in a room."""
        found = self._rooms.get(room)
        return 0 if found is None else found.count

    async def admit(self, session: Session, room: str) -> None:
        """Put a session into a room without asking anyone: its personal one."""
        self._rooms.add(room, session)
        await self._hub.arrive(room)

    @asynccontextmanager
    async def joining(self, ctx: Context, room: str) -> AsyncIterator[Event | None]:
        """Join a room, or take its first message again.

        Inside the `async with` the session is in the room, and its events are still held back:
        emit what comes first. A session that is gone by then is not in, and not told anything.

        Yields:
            The room's first message, or None.

        Raises:
            NotFound: nobody declared such a room.
            LimitExceeded: the session is in too many rooms.
            Overloaded: more was published while the first message was made than can be kept.
            RequestError: the room's owner refuses.
        """
        session = ctx.session
        pattern, values = self._registry.room(room)
        ctx.refused = pattern.refused
        mine = self._rooms.of(session)
        if room not in mine and len(mine) > self._max_rooms:
            raise LimitExceeded(f"A session is in at most {self._max_rooms} rooms: leave one first")
        hold = ctx.hold = self._rooms.hold(room, session)
        try:
            await self._hub.arrive(room)
            first = await pattern.join(ctx, **values)
            hold.mark()
            if hold.overflowed:
                raise Overloaded("More has happened in the room than can be kept for a newcomer")
            if not session.closed and self._rooms.add(room, session) and pattern.announce:
                self._announce_join(session, room)
            yield first
        finally:
            ctx.hold = None
            self._rooms.release(room, session)
            if room in self._rooms.of(session):
                self._let_go(hold, session)
            self._hub.depart(room)

    def _let_go(self, hold: Hold, session: Session) -> None:
        for frame in hold.newer():
            session.push(frame)
        if hold.overflowed:  # it was in the room before, and has missed something
            session.socket.close(CloseCode.SLOW_CONSUMER, "too slow: reconnect and resume")

    def leave(self, session: Session, room: str) -> None:
        """Take a session out of a room; no effect where it is not in.

        Raises:
            InvalidRequest: it is the session's personal room.
        """
        if room == session.personal_room:
            raise InvalidRequest("The personal room cannot be left")
        self._remove(session, room)

    def leave_all(self, session: Session) -> None:
        """The session is over: take it out of every room."""
        for room in list(self._rooms.of(session)):
            self._remove(session, room)

    def _remove(self, session: Session, room: str) -> None:
        if not self._rooms.remove(room, session):
            return
        presence = self._presences.get(room)
        if presence is not None:
            if presence.leave(session.user_id):
                left_at = iso_timestamp(int(self._clock.now() * 1000))
                left = UserLeftRoom(user_id=session.user_id, room=room, left_at=left_at)
                self._hub.announce(room, left)
            if not presence:
                del self._presences[room]
        self._hub.depart(room)

    def _announce_join(self, session: Session, room: str) -> None:
        presence = self._presences.setdefault(room, Presence())
        if presence.join(session.user_id):
            joined_at = iso_timestamp(int(self._clock.now() * 1000))
            joined = UserJoinedRoom(user_id=session.user_id, room=room, joined_at=joined_at)
            self._hub.announce(room, joined, except_=(session.sid,))
