"""Recently sent events, from which a returning client gets what it missed. Pure.

Theory of operation. Every event that is sent gets a position, counted per log, and travels with it
as its offset: where a client resumes. An entry lies in one lane, its room's or (an answer) its
session's own. The log has the lanes in the order of their entries, oldest first, and drops from
them once there are too many entries, or too many bytes, or they are too old.

What is dropped raises its lane's floor: whoever has got no further than below the floor has missed
it for good. The floor belongs to the lane, so that a client of a quiet room resumes after hours,
whatever went on elsewhere. A session that an event was not meant for (`except_`) is spared: its
floor stays where it was.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from math import inf
from secrets import token_urlsafe
from typing import TypeGuard

import msgspec

from lbproto.events import Event
from lbproto.frame import Frame
from lbproto.wire.formats import RequestId, WireFormat

__all__ = ["Entry", "Lane", "Log", "is_offset", "position_in", "shared_position"]

_ENTRY_BYTES = 400  # what an entry takes beside its frames, about
_TRIM_SHARE = 0.01  # of the window: how much longer than that an entry may be kept
_DROP_DIVISOR = 64  # when it is full, this part of what it may hold is dropped at once
_MAX_DROPPED = 1_024  # entries that the order may still hold, before it is swept
_MAX_OFFSET_LENGTH = 300  # characters of an offset
_OFFSET = re.compile(
    r"([A-Za-z0-9_-]{1,16})\.([0-9]{1,15})(?:\.([A-Za-z0-9_-]+(?::[A-Za-z0-9_-]+)+))?"
)


class Entry(msgspec.Struct, eq=False, gc=False):
    """One event as it was sent.

    Attributes:
        position: its place in the log; greater than that of everything sent before.
        event: the event sent.
        except_: ids of the sessions in the room that it was not meant for.
        answers: the request it answers.
        frames: encodings to send it by again, where somebody has missed it.
        size: bytes that it counts for: what it was sent by, and what goes with that.
        time: monotonic time at which it was sent, in seconds.
        shared: how far, in the log that all nodes share, whoever has got this and all before has
            got; "" where that cannot be said.
    """

    position: int
    event: Event
    except_: Collection[str] = ()
    answers: RequestId | None = None
    frames: dict[WireFormat, Frame] | None = None  # most are never sent again
    size: int = _ENTRY_BYTES
    time: float = 0.0
    shared: str = ""


class Lane:
    """The entries that went one way: to a room, or to one session.

    Args:
        max_bytes: what it is to hold at most; by default what the log does.

    Attributes:
        entries: oldest first.
        early: how many it has dropped before their turn; kept by the log.
    """

    __slots__ = ("_floor", "_max_bytes", "_size", "_spared", "early", "entries")

    def __init__(self, max_bytes: float = inf) -> None:
        self.entries: deque[Entry] | tuple[()] = ()
        self._max_bytes = max_bytes
        self._size = 0
        self._floor = 0
        self._spared: dict[str, int] = {}  # floors of those that the last dropped entry spared
        self.early = 0

    def floor(self, sid: str) -> int:
        """The position up to which something meant for a session has been dropped."""
        return self._spared.get(sid, self._floor)

    def raise_floor(self, position: int) -> None:
        """Nothing up to `position` can be had from here any more."""
        self._floor = max(self._floor, position)
        self._spared = {}

    def between(self, after: int, until: int) -> Iterator[Entry]:
        """The entries with `after` < position <= `until`, newest first."""
        for entry in reversed(self.entries):
            if entry.position <= after:
                return
            if entry.position <= until:
                yield entry

    @property
    def oldest(self) -> Entry:
        """The oldest entry; there has to be one."""
        assert self.entries  # noqa: S101 - the log knows of one
        return self.entries[0]

    def append(self, entries: Sequence[Entry], size: int) -> bool:
        """Add the newest entries, of so many bytes together.

        Returns:
            Whether the lane now `exceeds` what it may hold.
        """
        if self.entries:
            self.entries.extend(entries)
        else:
            self.entries = deque(entries)
        size = self._size = self._size + size
        return size > self._max_bytes

    @property
    def exceeds(self) -> bool:
        """Whether it holds more than it may: `drop` something."""
        return self._size > self._max_bytes

    def drop(self) -> Entry:
        """Remove the oldest entry."""
        entries = self.entries
        assert entries  # noqa: S101 - whoever drops knows of an entry
        entry = entries.popleft()
        if not entries:
            self.entries = ()  # an empty deque takes 760 bytes, and most sessions have nothing here
        self._size -= entry.size
        if entry.except_ or self._spared:
            self._spared = {sid: self.floor(sid) for sid in entry.except_}
        self._floor = max(self._floor, entry.position)
        return entry


class Log:
    """The events that one node has sent.

    Args:
        window: seconds that an entry is kept at most.
        max_events: the number of events kept.
        max_bytes: how many bytes they may take, encodings and what goes with them.

    Attributes:
        position: of the newest entry.
        epoch: names the log: of another process, positions mean nothing here.
    """

    def __init__(self, window: float, max_events: int, max_bytes: int) -> None:
        self.position = 0
        self._window = window
        self._max_events = max_events
        self._max_bytes = max_bytes
        self.epoch = token_urlsafe(6)
        self._order: deque[Lane] = deque()  # of each entry: the oldest is the first one's oldest
        self._kept = 0
        self._size = 0
        self._trims_at = 0.0  # monotonic time: until then nothing is too old

    def __len__(self) -> int:
        return self._kept

    @property
    def size(self) -> int:
        """Bytes that the entries take."""
        return self._size

    @property
    def oldest(self) -> int:
        """Position of the oldest entry that is kept; what lies before is gone."""
        order = self._order
        while order and order[0].early:
            order.popleft().early -= 1
        return order[0].oldest.position if order else self.position + 1

    def entry(self, event: Event, answers: RequestId | None = None, shared: str = "") -> Entry:
        """Number an event that is about to be sent; `append` it once it has been."""
        position = self.position = self.position + 1
        return Entry(position, event, (), answers, shared=shared)

    def entries(
        self, events: Sequence[Event], except_: Collection[str] = (), shared: str = ""
    ) -> list[Entry]:
        """Likewise several, which are sent to a room one after the other."""
        found, position = [], self.position
        for event in events:
            position += 1
            found.append(Entry(position, event, except_, shared=shared))
        self.position = position
        return found

    def offset(self, position: int, shared: str = "") -> str:
        """A position as clients see it: an opaque string."""
        if shared:
            return f"{self.epoch}.{position}.{shared}"
        return f"{self.epoch}.{position}"

    def position_of(self, offset: object) -> int | None:
        """The position that a client names; None if it is not of this log."""
        position = position_in(self.epoch, offset)
        return position if position is not None and position <= self.position else None

    def append(self, entries: Sequence[Entry], lane: Lane, now: float) -> None:
        """Keep entries that have been sent one after the other, at least one.

        Args:
            now: monotonic time, in seconds.
        """
        order, size = self._order, 0
        for entry in entries:
            entry.time = now
            size += entry.size
            order.append(lane)
        self._kept += len(entries)
        self._size += size
        if lane.append(entries, size):
            self._shorten(lane)
        if now >= self._trims_at or self._kept > self._max_events or self._size > self._max_bytes:
            self.trim(now)

    def _shorten(self, lane: Lane) -> None:
        while lane.exceeds:
            self._kept -= 1
            self._size -= lane.drop().size
            lane.early += 1
        if len(self._order) > 2 * self._kept + _MAX_DROPPED:  # one lane dropped more than it keeps
            self._order = deque(lane for lane in self._order if not _was_early(lane))

    def trim(self, now: float) -> None:
        """Drop what is too much or too old at this monotonic time, in seconds."""
        order, most, most_bytes = self._order, self._max_events, self._max_bytes
        if self._kept > most or self._size > most_bytes:
            most -= most // _DROP_DIVISOR
            most_bytes -= most_bytes // _DROP_DIVISOR
        oldest = now - self._window
        kept, size = self._kept, self._size
        while order:
            lane = order[0]
            if lane.early:
                lane.early -= 1
            elif kept > most or size > most_bytes or lane.oldest.time < oldest:
                kept -= 1
                size -= lane.drop().size
            else:
                break
            order.popleft()
        self._kept, self._size = kept, size
        self._trims_at = now + self._window * _TRIM_SHARE


def _match(offset: object) -> re.Match[str] | None:
    if not isinstance(offset, str) or len(offset) > _MAX_OFFSET_LENGTH:
        return None
    return _OFFSET.fullmatch(offset)


def is_offset(offset: object) -> TypeGuard[str]:
    """Whether this is what a client may be given for an offset, by any node."""
    return _match(offset) is not None


def position_in(epoch: str, offset: object) -> int | None:
    """The position that a client names; None if it is of another epoch."""
    match = _match(offset)
    return int(match[2]) if match is not None and match[1] == epoch else None


def shared_position(offset: object) -> str:
    """How far a client has got in the log that all nodes share; "" for unknown."""
    match = _match(offset)
    return "" if match is None else match[3] or ""


def _was_early(lane: Lane) -> bool:
    """Whether the next entry in the order that is this lane's has been dropped before its turn."""
    if not lane.early:
        return False
    lane.early -= 1
    return True
