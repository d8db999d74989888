"""Which session is in which room on this node, and what it has missed. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator
from itertools import islice
from sys import maxsize
from typing import Any, NamedTuple, Protocol

from lbproto.delivery.log import Entry, Lane, Log
from lbproto.delivery.outbox import Pushed
from lbproto.delivery.turn import Group, Line, Turn, in_step, step_out
from lbproto.frame import Frame
from lbproto.wire.formats import WireFormat

__all__ = ["Member", "Placeholder", "Room", "Rooms"]

_MIN_GROUP = 4  # members; fewer are not worth being sent to together
_MAX_PAST_STAYS = 256  # stays that a session is remembered to have had


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
        """Queues a frame for it; returns a `Pushed`."""
        ...

    @property
    def line(self) -> Line | None:
        """The connection's line in a group, if it may be written to with others."""
        ...

    @property
    def lane(self) -> Lane:
        """What is sent to it alone."""
        ...


class Placeholder:
    """Takes a session's place in a room while the session's first message is being made.

    Up to the mark nothing is kept: the first message will contain it, and a session that was in
    the room before goes on getting it. From the mark on this is the member; what it is sent
    meanwhile is found in the log.
    """

    __slots__ = ("_mark", "_member", "_rooms", "format", "lane", "line", "name", "sid")

    def __init__(self, rooms: Rooms, name: str, member: Member) -> None:
        self._rooms = rooms
        self._member = member
        self._mark: int | None = None
        self.name = name
        self.sid: str = member.sid
        self.format: WireFormat = member.format
        self.lane: Lane = member.lane
        self.line: Line | None = None

    def push(self, frame: Frame) -> int:  # noqa: ARG002 - the signature of a push
        """Leave the frame to the log."""
        return Pushed.QUEUED

    def mark(self) -> None:
        """The first message contains everything published up to now; only the first call counts."""
        if self._mark is None:
            self._mark = self._rooms.replace(self.name, self._member, self)

    def newer(self) -> list[Entry] | None:
        """What was published after the mark, in order; None where it was more than is kept."""
        if self._mark is None:
            return []
        lane, most = self._rooms[self.name].lane, self._rooms.max_held
        entries = list(islice(lane.between(self._mark, self._rooms.position), most + 1))
        if lane.floor(self.sid) > self._mark or len(entries) > most:
            return None
        return [entry for entry in reversed(entries) if self.sid not in entry.except_]


class Room:
    """One room's sessions on this node.

    Args:
        turn: writes to many connections at once.

    Attributes:
        members: those an event is delivered to, in the order they came; for some it is their hold.
        alone: those of them that are sent to by themselves.
        groups: the others, by wire format.
        held: those with a hold; not all of them are in the room yet.
        count: how many sessions are in the room and count there.
        lane: the events sent to it.
    """

    __slots__ = ("_turn", "alone", "count", "groups", "held", "lane", "members")

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self.members: dict[Member, None] = {}
        self.alone: dict[Member, None] = {}
        self.groups: dict[WireFormat, Group] = {}
        self.held: dict[Member, Placeholder] = {}
        self.count = 0
        self.lane = Lane()

    def enter(self, member: Member) -> None:
        """Deliver to a member from now on."""
        self.members[member] = self.alone[member] = None

    def leave(self, member: Member) -> None:
        """Deliver to it no more; what was sent before still reaches it."""
        if member not in self.alone and member.line is not None:
            step_out(member.line)
        del self.members[member], self.alone[member]

    def step_in(self) -> None:
        """Have those sent to together that can be: before anything is sent to the groups."""
        if len(self.members) < _MIN_GROUP:
            return
        if any(group.full for group in self.groups.values()):
            self._turn.write()
        for member in list(self.alone):
            line = member.line
            if (
                line is not None
                and in_step(line)
                and self._group(member.format).step_in(line, member)
            ):
                del self.alone[member]

    def step_out(self, sids: Collection[str]) -> None:
        """Have the sessions of these ids sent to by themselves."""
        for group in self.groups.values():
            for line in [line for line, member in group.lines.items() if member.sid in sids]:
                step_out(line)

    def _group(self, format_: WireFormat) -> Group:
        group = self.groups.get(format_)
        if group is None:
            group = self.groups[format_] = Group(self._turn, self._stepped_out)
        return group

    def _stepped_out(self, member: Any) -> None:
        self.alone[member] = None


class _Stay(NamedTuple):
    """A time that a session was in a room, in positions: `since` < position <= `until`."""

    lane: Lane
    since: int
    until: int


class Rooms:
    """The rooms that have sessions on this node.

    Args:
        log: keeps the events sent to them.
        max_held: the number of events a hold may leave to the log.
        turn: writes to many connections at once.
    """

    def __init__(self, log: Log, max_held: int = 4_096, turn: Turn | None = None) -> None:
        self._turn = Turn() if turn is None else turn
        self.max_held = max_held
        self._log = log
        self._rooms: dict[str, Room] = {}
        self._of: dict[Member, dict[str, int]] = {}  # each with the position it is in since
        self._past: dict[Member, deque[_Stay]] = {}  # as far as the log reaches back
        self._uncounted: set[Member] = set()

    def __len__(self) -> int:
        return len(self._rooms)

    def __getitem__(self, name: str) -> Room:
        return self._rooms[name]

    @property
    def position(self) -> int:
        """The log's."""
        return self._log.position

    def get(self, name: str) -> Room | None:
        """The room, or None where nobody is in it or about to be."""
        return self._rooms.get(name)

    def of(self, member: Member) -> Collection[str]:
        """The rooms a session is in, in the order it joined them."""
        return self._of.get(member, {}).keys()

    def members(self, name: str) -> list[Member]:
        """The sessions in a room, in the order they came."""
        room = self._rooms.get(name)
        if room is None:
            return []
        found = dict.fromkeys((*room.members, *room.held))
        return [member for member in found if name in self._of.get(member, ())]

    def counts(self) -> Iterator[tuple[str, int]]:
        """The rooms that sessions count in, and how many do."""
        return ((name, room.count) for name, room in self._rooms.items() if room.count)

    # Joining and leaving

    def hold(self, name: str, member: Member) -> Placeholder:
        """Be ready to keep the room's events for a session that is in it, or about to be."""
        room = self._room(name)
        hold = room.held[member] = Placeholder(self, name, member)
        return hold

    def replace(self, name: str, member: Member, hold: Placeholder) -> int:
        """Let the hold be the member from here on.

        Returns:
            The position of here.
        """
        room = self._rooms[name]
        if member in room.members:
            room.leave(member)
            self._end_stay(name, member)
        room.enter(hold)
        return self.position

    def add(self, name: str, member: Member) -> bool:
        """Put a session into a room.

        Returns:
            Whether it was not in before.
        """
        joined = self._of.setdefault(member, {})
        if name in joined:
            return False
        joined[name] = self.position
        room = self._room(name)
        if self.is_counted(member):
            room.count += 1
        if member not in room.held:
            room.enter(member)
        return True

    def release(self, name: str, member: Member) -> None:
        """End a hold: deliver to the session from now on, if it is in the room."""
        room = self._rooms[name]
        hold = room.held.pop(member)
        joined = self._of.get(member, {})
        if hold in room.members:
            room.leave(hold)
            if name in joined:
                joined[name] = self.position
        if name in joined:
            room.enter(member)
        self._discard_if_empty(name, room)

    def remove(self, name: str, member: Member, *, void: bool = False) -> bool:
        """Take a session out of a room; a hold of its stays until it is released.

        Args:
            void: what it has missed there is not for it any more.

        Returns:
            Whether it was in.
        """
        if name not in self._of.get(member, ()):
            return False
        room = self._rooms[name]
        if member in room.members:
            if not void:
                self._end_stay(name, member)
            room.leave(member)
        del self._of[member][name]
        if self.is_counted(member):
            room.count -= 1
        self._discard_if_empty(name, room)
        return True

    def forget(self, member: Member) -> None:
        """A session that has left every room is over."""
        self._of.pop(member, None)
        self._past.pop(member, None)
        self._uncounted.discard(member)

    def _room(self, name: str) -> Room:
        room = self._rooms.get(name)
        if room is None:
            room = self._rooms[name] = Room(self._turn)
        return room

    def _discard_if_empty(self, name: str, room: Room) -> None:
        if not room.members and not room.held:
            del self._rooms[name]

    # Those who are away

    def uncount(self, member: Member) -> None:
        """Count a session no longer; it stays a member, so that what it misses is kept."""
        if member not in self._uncounted:
            self._uncounted.add(member)
            for name in self.of(member):
                self._rooms[name].count -= 1

    def count(self, member: Member) -> bool:
        """Count a session again.

        Returns:
            Whether it was not counted.
        """
        if member not in self._uncounted:
            return False
        self._uncounted.remove(member)
        for name in self.of(member):
            self._rooms[name].count += 1
        return True

    def is_counted(self, member: Member) -> bool:
        """Whether a session counts in its rooms."""
        return member not in self._uncounted

    def lose(self, member: Member) -> None:
        """Something meant for a session could not be kept: it cannot be resumed any more.

        Not from later positions either: what it is told while its connection is closed has one.
        """
        member.lane.raise_floor(maxsize)

    def reaches(self, member: Member, position: int) -> bool:
        """Whether everything that a session has missed after `position` is still there."""
        return member.lane.floor(member.sid) <= position and all(
            stay.until <= position or stay.lane.floor(member.sid) <= max(position, stay.since)
            for stay in self._stays(member)
        )

    def missed(self, member: Member, position: int) -> list[Entry]:
        """What was meant for a session after `position`, in order, as far as it `reaches`."""
        entries = list(member.lane.between(position, self.position))
        for stay in self._stays(member):
            entries += stay.lane.between(max(position, stay.since), stay.until)
        entries.sort(key=_position)
        return [entry for entry in entries if member.sid not in entry.except_]

    def _stays(self, member: Member) -> Iterator[_Stay]:
        yield from self._past.get(member, ())
        for name, since in self._of.get(member, {}).items():
            room = self._rooms[name]
            if member in room.members:
                yield _Stay(room.lane, since, self.position)

    def _end_stay(self, name: str, member: Member) -> None:
        """Remember that a session was in a room, while something it was sent may be on its way."""
        past = self._past.setdefault(member, deque())
        past.append(_Stay(self._rooms[name].lane, self._of[member][name], self.position))
        while past and (past[0].until < self._log.oldest or len(past) > _MAX_PAST_STAYS):
            self._drop_stay(member, past.popleft())

    def _drop_stay(self, member: Member, stay: _Stay) -> None:
        """Whoever has not got all that was meant for it then cannot resume any more."""
        gone = stay.lane.floor(member.sid) if stay.until < self._log.oldest else stay.until
        if gone > stay.since:
            member.lane.raise_floor(min(gone, stay.until))


def _position(entry: Entry) -> int:
    return entry.position
