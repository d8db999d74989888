"""A host's view of its users on every node: list, kick, disconnect, ban."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Raw

from lbproto.nodes.calls import Reply
from lbproto.nodes.control import Control
from lbproto.rooms.bans import Bans
from lbproto.rooms.membership import Membership
from lbproto.sessions.lifecycle import Sessions
from lbproto.sessions.session import Session

__all__ = ["Moderation", "RoomMember"]

_MEMBERS_PER_MESSAGE = 200  # members told in one message
_Two = tuple[str, str]


@dataclass(frozen=True, slots=True)
class RoomMember:
    """A session in a room.

    Attributes:
        sid: its id.
        user_id: the user whose session it is.
        away: whether its client has lost the connection.
        session: the session itself; None where it is on another node.
    """

    sid: str
    user_id: str
    away: bool
    session: Session | None = None


class Moderation:
    """A server's part that is about its users; it stands on the other parts.

    What is asked of other nodes is waited for, a second at most. Those that do not answer, as
    behind a broken network, may not have done it, and are not counted.
    """

    def __init__(
        self, sessions: Sessions, membership: Membership, bans: Bans, control: Control
    ) -> None:
        self.sessions = sessions
        self._membership = membership
        self._bans = bans
        self._control = control
        control.on("members", str, self._tell_members)
        control.on("kick", _Two, lambda asked, reply: reply.end(self._kick(*asked)))
        control.on("disconnect_session", _Two, lambda asked, reply: reply.end(self._end(*asked)))
        control.on("disconnect", _Two, lambda asked, reply: reply.end(self._disconnect(*asked)))

    async def members(self, room: str) -> list[RoomMember]:
        """The sessions in a room, those of each node in the order they joined; also those away."""
        found = [
            RoomMember(session.sid, session.user_id, session.socket is None, session)
            for session in self._membership.members(room)
        ]

        def take(_: str, answer: Raw) -> None:
            told = msgspec.msgpack.decode(answer, type=list[tuple[str, str, bool]])
            found.extend(RoomMember(*each) for each in told)

        await self._control.ask("members", room, take)
        return found

    def rooms(self, session: Session) -> list[str]:
        """The rooms that a session of this node is in, in the order it joined them."""
        return self._membership.rooms(session)

    async def kick(self, user_id: str, room: str) -> int:
        """Take a user out of a room; each of their sessions there is told `unsubscribed`.

        Returns:
            How many sessions were in it.
        """
        return self._kick(user_id, room) + await self._sum("kick", (user_id, room))

    async def disconnect(self, user_id: str, reason: str = "disconnected by the server") -> int:
        """End every session of a user; stock clients do not come back by themselves.

        Returns:
            How many there were.
        """
        here = self._disconnect(user_id, reason)
        return here + await self._sum("disconnect", (user_id, reason))

    async def disconnect_session(
        self, sid: str, reason: str = "disconnected by the server"
    ) -> bool:
        """End one session, by its id; its client does not come back by itself either.

        Returns:
            Whether there was one.
        """
        here = self._end(sid, reason)  # it may have just gone on elsewhere
        return here + await self._sum("disconnect_session", (sid, reason)) > 0

    async def ban(
        self, user_id: str, room: str | None = None, *, seconds: float | None = None
    ) -> None:
        """Keep a user out, and throw them out if they are in.

        Args:
            room: of this room only; None for the whole server.
            seconds: for so long; None for ever (in the storage).
        """
        await self._bans.add(user_id, room, seconds)
        if room is None:
            await self.disconnect(user_id, "banned")
        else:
            await self.kick(user_id, room)

    async def unban(self, user_id: str, room: str | None = None) -> None:
        """Lift a ban; no effect if the user is not banned."""
        await self._bans.remove(user_id, room)

    def _kick(self, user_id: str, room: str) -> int:
        return sum(self._membership.kick(own, room) for own in self.sessions.directory.of(user_id))

    def _disconnect(self, user_id: str, reason: str) -> int:
        sessions = self.sessions.directory.of(user_id)
        for session in sessions:
            self.sessions.disconnect(session, reason)
        return len(sessions)

    def _end(self, sid: str, reason: str) -> int:
        session = self.sessions.directory.get(sid)
        if session is None:
            return 0
        self.sessions.disconnect(session, reason)
        return 1

    def _tell_members(self, room: str, reply: Reply) -> None:
        told = [
            (session.sid, session.user_id, session.socket is None)
            for session in self._membership.members(room)
        ]
        parts = range(0, len(told), _MEMBERS_PER_MESSAGE)
        reply.end(*(told[start : start + _MEMBERS_PER_MESSAGE] for start in parts))

    async def _sum(self, name: str, body: Any) -> int:
        counts: list[int] = []
        await self._control.ask(
            name, body, lambda _, answer: counts.append(msgspec.msgpack.decode(answer, type=int))
        )
        return sum(counts)
