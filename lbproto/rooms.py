"""Who is in which room on this node: a pure index, both ways."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from lbproto.outbox import Outbox
from lbproto.transport import Frame
from lbproto.wire.formats import WireFormat

__all__ = ["Hold", "Member", "Room", "Rooms"]


class Member(Protocol):
    """What delivery needs to know of a session."""

    @property
    def sid(self) -> str:
        """Its id."""
        ...

    @property
    def format(self) -> WireFormat:
        """How it reads events."""
        ...

    @property
    def push(self) -> Callable[[Frame], int]:
        """Queues a frame for it; returns an `Outcome`."""
        ...


class Hold:
    """Takes a session's place in a room while the session's first message is being made.

    Up to the mark nothing is kept: the first message will contain it, and a session that was in
    the room before goes on getting it. From the mark on the hold is the member, and keeps what it
    is sent, within an outbox's bounds.

    Attributes:
        overflowed: whether more came than it can keep; something is lost then.
    """

    __slots__ = ("_kept", "_member", "_room", "format", "overflowed", "push", "sid")

    def __init__(self, room: Room, member: Member, max_frames: int, max_bytes: int) -> None:
        self._room = room
        self._member = member
        self._kept = Outbox(max_frames, max_bytes, lambda: None, self._overflow)
        self.overflowed = False
        self.sid: str = member.sid
        self.format: WireFormat = member.format
        self.push: Callable[[Frame], int] = self._kept.push

    def mark(self) -> None:
        """The first message contains everything published up to now; only the first call counts."""
        self._room.members.pop(self._member, None)
        self._room.members[self] = None

    def newer(self) -> list[Frame]:
        """What was published after the mark; nothing is kept any more."""
        return self._kept.take()

    def _overflow(self) -> None:
        self.overflowed = True


class Room:
    """One room's sessions on this node.

    Attributes:
        members: those an event is delivered to, in the order they came; for some it is their hold.
        held: those with a hold; not all of them are in the room yet.
        count: how many sessions are in the room.
    """

    __slots__ = ("count", "held", "members")

    def __init__(self) -> None:
        self.members: dict[Member, None] = {}
        self.held: dict[Member, Hold] = {}
        self.count = 0


class Rooms:
    """The rooms that have sessions on this node.

    Args:
        max_held_frames: how many frames a hold keeps.
        max_held_bytes: how many bytes it keeps.
    """

    def __init__(self, max_held_frames: int = 4_096, max_held_bytes: int = 4 * 1024 * 1024) -> None:
        self._rooms: dict[str, Room] = {}
        self._of: dict[Member, dict[str, None]] = {}
        self._bounds = max_held_frames, max_held_bytes

    def __len__(self) -> int:
        return len(self._rooms)

    def get(self, name: str) -> Room | None:
        """The room, or None where nobody is in it or about to be."""
        return self._rooms.get(name)

    def of(self, member: Member) -> Collection[str]:
        """The rooms a session is in, in the order it joined them."""
        return self._of.get(member, {}).keys()

    def hold(self, name: str, member: Member) -> Hold:
        """Be ready to keep the room's events for a session that is in it, or about to be."""
        room = self._rooms.setdefault(name, Room())
        hold = room.held[member] = Hold(room, member, *self._bounds)
        return hold

    def add(self, name: str, member: Member) -> bool:
        """Put a session into a room.

        Returns:
            Whether it was not in before.
        """
        joined = self._of.setdefault(member, {})
        if name in joined:
            return False
        joined[name] = None
        room = self._rooms.setdefault(name, Room())
        room.count += 1
        if member not in room.held:
            room.members[member] = None
        return True

    def release(self, name: str, member: Member) -> None:
        """End a hold: deliver to the session from now on, if it is in the room."""
        room = self._rooms[name]
        room.members.pop(room.held.pop(member), None)
        if name in self._of.get(member, ()):
            room.members[member] = None
        self._discard_if_empty(name, room)

    def remove(self, name: str, member: Member) -> bool:
        """Take a session out of a room; a hold of its stays until it is released.

        Returns:
            Whether it was in.
        """
        joined = self._of.get(member, {})
        if name not in joined:
            return False
        del joined[name]
        if not joined:
            del self._of[member]
        room = self._rooms[name]
        room.count -= 1
        room.members.pop(member, None)
        self._discard_if_empty(name, room)
        return True

    def _discard_if_empty(self, name: str, room: Room) -> None:
        if not room.members and not room.held:
            del self._rooms[name]
