"""Joining and leaving rooms: rights, the first message, and who is told.

Joining leaves neither a gap nor an overlap between the room's first message and its events: from
the moment whose state the first message shows, the session's events from the room are held back,
and let go behind it.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from operator import attrgetter

import anyio

from lbproto.clock import Clock
from lbproto.context import Context
from lbproto.delivery.hub import Hub
from lbproto.delivery.inflow import Inflow
from lbproto.delivery.log import Entry
from lbproto.errors import InvalidRequest, LimitExceeded, Overloaded
from lbproto.events import Event
from lbproto.messages import Subscribe, Unsubscribed
from lbproto.nodes.control import Control
from lbproto.operations.statistics import RoomStatistics
from lbproto.registry import Registry
from lbproto.rooms.announcements import Announcements
from lbproto.rooms.bans import Bans
from lbproto.rooms.index import Rooms
from lbproto.sessions.places import Places
from lbproto.sessions.session import Session
from lbproto.transport import TOO_SLOW
from lbproto.validation.mistakes import check_returned
from lbproto.wire.formats import RequestId

__all__ = ["Membership", "Missed"]

logger = logging.getLogger(__name__)

Missed = list[tuple[Event, RequestId | None]]
"""Events that a session has missed, each with the request it answers."""


class Membership:
    """Puts sessions into rooms and takes them out.

    Args:
        registry: which rooms there may be.
        rooms: the members of rooms.
        hub: delivers what the others are told.
        inflow: hears what other nodes tell them.
        bans: the users banned from rooms.
        control: the members on other nodes.
        clock: when it happened.
        max_rooms: how many rooms a session may be in, its personal one not counted.
        places: where it is recorded who is where; None for nowhere.

    Attributes:
        announcements: tells members of users who come and go.
    """

    def __init__(
        self,
        registry: Registry,
        rooms: Rooms,
        hub: Hub,
        inflow: Inflow,
        bans: Bans,
        control: Control,
        clock: Clock,
        max_rooms: int,
        places: Places | None,
    ) -> None:
        self._registry = registry
        self._rooms = rooms
        self._hub = hub
        self._inflow = inflow
        self._bans = bans
        self._control = control
        self._max_rooms = max_rooms
        self._places = places
        self.announcements = Announcements(rooms, hub, control, clock)
        self._joining: dict[tuple[Session, str], anyio.Event] = {}  # each set when it is through

    def count(self, room: str) -> int:
        """How many sessions are in a room; those that have lost their connection, for a grace."""
        return self._count_here(room) + self._control.count(room)

    def count_elsewhere(self, room: str) -> int:
        """How many of them are on other nodes."""
        return self._control.count(room)

    def _count_here(self, room: str) -> int:
        found = self._rooms.get(room)
        return 0 if found is None else found.count

    def members(self, room: str) -> list[Session]:
        """The sessions in a room on this node, those away too, in the order they came."""
        return [member for member in self._rooms.members(room) if isinstance(member, Session)]

    def statistics(self, room: str) -> RoomStatistics:
        """How a room is; nobody is in one that there is not."""
        found = self._rooms.get(room)
        if found is None:
            return RoomStatistics(0, 0, 0)
        away = sum(member.socket is None for member in self.members(room))
        return RoomStatistics(found.count, away, len(found.lane.entries))

    def rooms(self, session: Session) -> list[str]:
        """The rooms that a session is in, in joining order."""
        return list(self._rooms.of(session))

    async def admit(self, session: Session, room: str) -> None:
        """Put a session into a room without asking anyone: its personal one."""
        if self._rooms.add(room, session):
            self._come(session, room)
        await self._inflow.arrive(room)

    async def adopt(
        self, session: Session, rooms: Sequence[str], read: Callable[[], Awaitable[Missed | None]]
    ) -> bool:
        """Put a session of another node into rooms, with what it has missed as its own.

        Args:
            read: what it has missed up to when this is called; what comes from then on is held
                back until that is there.

        Returns:
            Whether it is in: not where something that it has missed is gone.

        Raises:
            Overloaded: the events it has missed cannot be read.
        """
        holds = [self._rooms.hold(room, session) for room in rooms]
        try:
            for room in rooms:
                await self._inflow.arrive(room)
            if await read() is None:  # what its client has got is in the log by now: and not later
                return False
            await self._inflow.catch_up()
            for room, hold in zip(rooms, holds, strict=True):
                if room != session.personal_room and self._registry.room(room)[0].announce:
                    self.announcements.attend(room)
                hold.mark()
            missed = await read()
            newer = [hold.newer() for hold in holds]
            if missed is None or session.closed:
                return False
            held: list[Entry] = []
            for entries in newer:
                if entries is None:
                    return False
                held += entries
            held.sort(key=attrgetter("position"))
            self._hub.send_at_once(session, [*missed, *((entry.event, None) for entry in held)])
            for room in rooms:
                self._rooms.add(room, session)
            return True
        finally:
            for room in rooms:
                self._rooms.release(room, session)
                if room in self._rooms.of(session):
                    self._come(session, room)
                self._depart(room)

    def _come(self, session: Session, room: str) -> None:
        if room == session.personal_room:
            self._control.tell(room, self._count_here(room))
        else:
            self._entered(session, room)

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
        if isinstance(ctx.request, Subscribe):  # of which a room's refusals are made
            ctx.refused = pattern.refused
        key = session, room
        while key in self._joining:  # as it had asked by a connection that it has lost
            await self._joining[key].wait()
        mine = self._rooms.of(session)
        if room not in mine and len(mine) > self._max_rooms:
            raise LimitExceeded(f"A session is in at most {self._max_rooms} rooms: leave one first")
        is_heard = self._rooms.get(room) is not None
        hold = ctx.hold = self._rooms.hold(room, session)
        self._joining[key] = anyio.Event()
        try:
            await self._inflow.arrive(room)
            if self._places is not None and not is_heard:
                # Else what was said before it came would be taken for missed where it goes on.
                with suppress(Overloaded):
                    await self._inflow.catch_up()
            first = await pattern.join(ctx, **values)
            check_returned(first, pattern.join)
            if self._places is not None:
                await self._places.enter(session, room, self._hub.shared_position)
            await self._bans.check(session.user_id, room)  # last, so that none slips in meanwhile
            hold.mark()
            if hold.newer() is None:
                raise Overloaded("Too much was sent to the room while it was being joined")
            if not session.closed and self._rooms.add(room, session):
                self._entered(session, room)
            yield first
        finally:
            ctx.hold = None
            newer = hold.newer()
            self._rooms.release(room, session)
            if room in self._rooms.of(session):
                self._let_go(newer, session)
            elif self._places is not None:  # else it would be in it where it goes on
                self._places.leave(session, room)
            self._depart(room)
            self._joining.pop(key).set()

    def _let_go(self, newer: list[Entry] | None, session: Session) -> None:
        """Send what was held back: as the session's own, so that it resumes behind it."""
        if newer:
            self._hub.send_at_once(session, [(entry.event, None) for entry in newer])
        if newer is None:  # it was in the room before, and has missed something
            self._rooms.lose(session)
            if self._places is not None:  # nor from its record, should this node die
                self._places.end(session)
            if session.socket is not None:
                session.withhold()  # what comes next is not to come before it knows that
                session.socket.close(*TOO_SLOW)

    async def recheck(self, ctx: Context, room: str) -> None:
        """Check again that a session may be in a room; if not, it is removed.

        It is told that it is out, and not what it has missed there.

        Raises:
            Overloaded: that cannot be told now; it stays.
            RequestError: the room's owner refuses.
        """
        session = ctx.session
        pattern, values = self._registry.room(room)
        ctx.refused = pattern.refused
        try:
            await self._bans.check(session.user_id, room)
            await pattern.join(ctx, **values)
        except Overloaded:
            raise
        except Exception:
            self._remove(session, room, void=True)
            ctx.emit(Unsubscribed(room=room))
            raise

    def leave(self, session: Session, room: str) -> None:
        """Take a session out of a room; no effect where it is not in.

        Raises:
            InvalidRequest: it is the session's personal room.
        """
        if room == session.personal_room:
            raise InvalidRequest("The personal room cannot be left")
        self._remove(session, room)

    def leave_all(self, session: Session) -> None:
        """Take a session that is over out of every room."""
        for room in self.rooms(session):
            self._remove(session, room)
        self._rooms.forget(session)

    def fade(self, session: Session) -> None:
        """A session has been away for too long to count; it stays, and misses nothing."""
        self._rooms.uncount(session)
        for room in self.rooms(session):
            self._left(session, room)

    def revive(self, session: Session) -> None:
        """A session is back; if it had faded, it counts again."""
        if self._rooms.count(session):
            for room in self.rooms(session):
                self._entered(session, room)

    def kick(self, session: Session, room: str) -> bool:
        """Take a session out of a room and tell it so.

        Returns:
            Whether it was in.
        """
        if not self._remove(session, room):
            return False
        self._hub.send(session, Unsubscribed(room=room))
        return True

    def _remove(self, session: Session, room: str, *, void: bool = False) -> bool:
        """Take a session out of a room; where `void`, also out of what it has missed there."""
        counted = self._rooms.is_counted(session)
        if self._places is not None:
            self._places.leave(session, room)
        if not self._rooms.remove(room, session, void=void):
            return False
        if counted:
            self._left(session, room)
        self._depart(room)
        return True

    def _depart(self, room: str) -> None:
        """Somebody has left a room, or has not come: nobody may be there."""
        if self._rooms.get(room) is None:
            self.announcements.forget(room)
        self._inflow.depart(room)

    def _entered(self, session: Session, room: str) -> None:
        """A session is in a room from now on, and counts there unless it has faded meanwhile."""
        if not self._rooms.is_counted(session):
            return
        pattern, _ = self._registry.room(room)
        sessions = self._count_here(room)
        if pattern.announce:
            self.announcements.come(session, room, sessions)
        else:
            self._control.tell(room, sessions)
        if sessions == 1:
            self._tell_occupancy(room, occupied=True)

    def _left(self, session: Session, room: str) -> None:
        """A session has counted in a room until now."""
        sessions = self._count_here(room)
        self.announcements.go(session, room, sessions)
        if sessions == 0:
            self._tell_occupancy(room, occupied=False)

    def _tell_occupancy(self, room: str, *, occupied: bool) -> None:
        pattern, values = self._registry.room(room)
        if pattern.occupancy is None:
            return
        try:
            pattern.occupancy(occupied, **values)
        except Exception:
            logger.exception("%s: plugin %r was told who is in, and failed", room, pattern.plugin)
