"""Tells a room's members which users join and leave it.

Each node tells its own sessions, by what it knows of all nodes. Beside that it keeps in the log
what it was the first to know: whoever goes on on another node, where its own has died, has missed
that too. That a node is gone every other node is the first to know, also of rooms where it has
nobody yet: then it is there several times.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from lbproto.clock import Clock, iso_timestamp
from lbproto.delivery.hub import Hub
from lbproto.messages import UserJoinedRoom, UserLeftRoom
from lbproto.nodes.control import Control
from lbproto.nodes.messages import Share
from lbproto.nodes.roster import Moved
from lbproto.rooms.index import Rooms
from lbproto.rooms.presence import Presence
from lbproto.sessions.session import Session

__all__ = ["Announcements"]


class Announcements:
    """The users of announcing rooms, as one node knows them.

    Args:
        rooms: the members on this node.
        hub: delivers what the others are told.
        control: the members on other nodes.
        clock: when it happened.
    """

    def __init__(self, rooms: Rooms, hub: Hub, control: Control, clock: Clock) -> None:
        self._rooms = rooms
        self._hub = hub
        self._control = control
        self._clock = clock
        self._presences: dict[str, Presence] = {}
        control.shares = self._shares
        control.moved = self._moved

    def __len__(self) -> int:
        return len(self._presences)

    def __getitem__(self, room: str) -> Presence:
        return self._presences[room]

    def attend(self, room: str) -> Presence:
        """Follow a room from now on: somebody is in it on this node, or about to be."""
        presence = self._presences.get(room)
        if presence is None:
            presence = self._presences[room] = self._found(room)
        return presence

    def come(self, session: Session, room: str, sessions: int) -> None:
        """A session of this node counts in an announcing room from now on."""
        user = session.user_id
        presence = self.attend(room)
        is_first = user not in presence.here
        is_news = presence.join(user)
        self._control.tell(room, sessions, user if is_first else None)
        if is_news:
            self._tell_joined(user, room, is_first_known=True)

    def go(self, session: Session, room: str, sessions: int) -> None:
        """A session of this node no longer counts in an announcing room."""
        presence = self._presences.get(room)
        if presence is None:
            self._control.tell(room, sessions)
            return
        user = session.user_id
        is_news = presence.leave(user)
        is_last = user not in presence.here
        self._control.tell(room, sessions, user if is_last else None, came=False)
        if is_news:
            self._tell(self._left(user, room), is_first_known=True)

    def forget(self, room: str) -> None:
        """Forget a room: nobody is in it."""
        self._presences.pop(room, None)

    def _found(self, room: str) -> Presence:
        """The users that the first member on this node finds in a room."""
        presence = Presence()
        presence.grow(self._control.count(room))
        for user in self._control.users(room):
            presence.appear(user)
        return presence

    def _shares(self) -> Iterator[Share]:
        """This node's users, as told to other nodes."""
        for room, sessions in self._rooms.counts():
            presence = self._presences.get(room)
            yield Share(room, sessions, () if presence is None else tuple(presence.here))

    def _moved(self, moved: Moved) -> None:
        """Users have come or gone on another node."""
        room = moved.room
        presence = self._presences.get(room)
        if presence is None:
            if moved.node_gone:
                self._keep_gone(room, moved.gone)
            return
        presence.grow(moved.sessions)
        for user in moved.came:
            if presence.appear(user) and moved.is_news:
                self._tell_joined(user, room)
        for user in moved.gone:
            if presence.vanish(user):
                left = self._left(user, room)
                self._tell(left, is_first_known=moved.node_gone, knew_before=moved.is_met)

    def _keep_gone(self, room: str, users: Collection[str]) -> None:
        """Nobody is here to be told, but somebody may come."""
        left = set(users).difference(self._control.users(room))
        for user in users:
            if user in left:
                self._hub.keep(room, self._left(user, room))

    def _left(self, user_id: str, room: str) -> UserLeftRoom:
        return UserLeftRoom(user_id=user_id, room=room, left_at=self._timestamp())

    def _tell_joined(self, user_id: str, room: str, *, is_first_known: bool = False) -> None:
        joined = UserJoinedRoom(user_id=user_id, room=room, joined_at=self._timestamp())
        self._tell(joined, is_first_known=is_first_known)

    def _tell(
        self,
        event: UserJoinedRoom | UserLeftRoom,
        *,
        is_first_known: bool,
        knew_before: bool = True,
    ) -> None:
        """Tell everybody in the room but the user's own sessions.

        Args:
            knew_before: whether those who have begun here may know of the user, too.
        """
        own = [
            session.sid
            for session in self._rooms.members(event.room)
            if isinstance(session, Session)
            and (session.user_id == event.user_id or not (knew_before or session.came))
        ]
        if is_first_known:
            self._control.tell_now()  # before: a node whose position has what is kept has told it
            self._hub.keep(event.room, event)  # before: so that whoever is told has it
        self._hub.deliver(event.room, (event,), own)

    def _timestamp(self) -> str:
        return iso_timestamp(int(self._clock.now() * 1000))
