"""Events for many connections, stored once and written to each at the end of a loop turn.

Theory of operation. A connection is in step while nothing is queued for it and its transport takes
bytes at once. Those of a room's members that are in step form a group, one for each wire format: an
event is put down there once, however many they are. When the turn is over, the events of a group
are joined, and the same bytes are written to each of its lines. Whoever is not in step is sent to
by itself, through its outbox.

Order. Before anything is queued for a line by itself (an answer, an event of a room where it is
alone), and when its transport takes no more, it steps out: what the groups have for it moves to its
outbox, in the order it was sent. So the lines of a group are in step always, and nobody looks when
it is written. A line that at the end of a turn is in several groups with something for it steps
out too; since it will be again, it stays out for a while. Otherwise a line steps in again with the
next event of its room.

Pace. A write costs the same, most of it the kernel's, whether it carries one event or twenty. So
where a group would be written to a thousand times a second and more, what is put down for it is
held for a millisecond and written together, for as long as that joins something. All groups wait
with it, so that a line of two of them gets its events in order. Below that rate there is no wait.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from math import inf
from time import monotonic
from typing import Any, Protocol

from lbproto.delivery.outbox import Outbox
from lbproto.frame import Frame, joined
from lbproto.transport import Transport

__all__ = ["Group", "Line", "Turn", "in_step", "step_out"]

logger = logging.getLogger(__name__)

_MAX_GROUP_BYTES = 65_536  # bytes that a group holds at most before more is put down
_HOLD_ABOVE = 1_000.0  # writes a second, or later what they would be, from which on holding pays
_MIN_EVENTS_PER_WRITE = 2  # events a write, on average, that are still worth it
_MEASURE_SECONDS = 0.1  # seconds over which that is measured, at least
_ALONE_TURNS = 256  # turns for which a line of several busy groups stays out of them


class Line(Protocol):
    """A connection, as groups know it."""

    groups: dict[Group, None]
    """The groups that the line is in."""

    alone_until: int
    """The number of the turn in which it may step in again."""

    transport: Transport
    """The way to its peer."""

    outbox: Outbox
    """What is queued for it alone."""

    writing: bool
    """Whether a task is sending to it now."""


def in_step(line: Line) -> bool:
    """Whether nothing is queued for a line, and its transport takes bytes at once."""
    return line.transport.ready and not line.outbox.filled and not line.writing


class Turn:
    """A server's groups that have pending events.

    Args:
        now: monotonic time, in seconds.

    Attributes:
        number: counts the turns in which something was written.
        wake: called when there is something to write, once until `write`.
        hold: called instead where that may wait: `release` it in a millisecond.
        held: whether it waits.
    """

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self.number = 0
        self.wake: Callable[[], None] = _nobody
        self.hold: Callable[[], None] = _nobody
        self.held = False
        self._now = now
        self._sent = 0
        self._dirty: list[Group] = []

    @property
    def dirty(self) -> bool:
        """Whether there is something to write."""
        return bool(self._dirty)

    def mark(self, group: Group) -> None:
        """A group has something to write."""
        if not self._dirty:
            self.held = group.hot
            if self.held:
                self.hold()
            else:
                self.wake()
        self._dirty.append(group)

    def release(self) -> None:
        """What was held has waited long enough."""
        self.held = False
        if self._dirty:
            self.wake()

    def count(self) -> int:
        """A number greater than those before: the order in which events were sent."""
        self._sent += 1
        return self._sent

    def write(self) -> None:
        """Write to every line what its group has for it."""
        dirty, self._dirty = self._dirty, []
        self.held = False
        if not dirty:
            return
        self.number += 1
        if len(dirty) > 1:
            self._part(dirty)
        now = self._now()
        for group in dirty:
            group.write(now)

    def _part(self, dirty: list[Group]) -> None:
        """Have the lines step out that are in several groups."""
        seen: set[Line] = set()
        for group in dirty:
            several = seen.intersection(group.lines)
            seen.update(group.lines)
            for line in several:
                step_out(line)
                line.alone_until = self.number + _ALONE_TURNS


class Group:
    """Lines that are sent the same.

    Args:
        turn: the server's.
        leave: called with the member of a line that is in the group no more.

    Attributes:
        lines: each with whose it is.
        pending: what is to be written to all of them, each with its number in the order of sending.
        hot: whether it is sent so much lately that to hold it for a moment pays.
    """

    __slots__ = (
        "_events",
        "_judged",
        "_leave",
        "_size",
        "_turn",
        "_writes",
        "_writes_done",
        "hot",
        "lines",
        "pending",
    )

    def __init__(self, turn: Turn, leave: Callable[[Any], None]) -> None:
        self._turn = turn
        self._leave = leave
        self._size = 0
        self._writes: dict[Line, Callable[[bytes], None]] = {}
        self.lines: dict[Line, Any] = {}
        self.pending: list[tuple[int, Frame]] = []
        self.hot = False
        self._events = self._writes_done = 0  # since it was judged last
        self._judged = -inf

    def push(self, frame: Frame) -> None:
        """Put down an event for every line."""
        if not self.pending:
            self._turn.mark(self)
        self.pending.append((self._turn.count(), frame))
        self._size += len(frame.data)
        self._events += 1

    def _judge(self, now: float) -> None:
        """Decide whether to hold writes, from the rate measured so far."""
        self._writes_done += 1
        seconds = now - self._judged
        if seconds >= _MEASURE_SECONDS:
            joins = self._events >= _MIN_EVENTS_PER_WRITE * self._writes_done
            would_be = self._events if self.hot else self._writes_done
            self.hot = would_be >= _HOLD_ABOVE * seconds and (joins or not self.hot)
            self._events = self._writes_done = 0
            self._judged = now

    @property
    def full(self) -> bool:
        """Whether the turn is to be written before anything more is put down."""
        return self._size > _MAX_GROUP_BYTES

    def step_in(self, line: Line, member: Any) -> bool:
        """Let a line that is in step be sent to with the others; not in the middle of a turn.

        Returns:
            Whether it is in.
        """
        if self.pending or line.alone_until > self._turn.number:
            return False
        transport = line.transport
        transport.unready = partial(step_out, line)
        self._writes[line] = transport.write
        self.lines[line] = member
        line.groups[self] = None
        return True

    def remove(self, line: Line) -> None:
        """Send to a line by itself again."""
        self._leave(self.lines.pop(line))
        del self._writes[line], line.groups[self]

    def write(self, now: float) -> None:
        """Write what is pending."""
        self._judge(now)
        data = joined([frame for _, frame in self.pending])
        self.pending = []
        self._size = 0
        for write in list(self._writes.values()):  # one of them may step out meanwhile
            try:
                write(data)
            except RuntimeError as error:
                logger.debug("a transport was closed unnoticed: %s", error)


def step_out(line: Line) -> None:
    """Have a line sent to by itself; what its groups have for it is queued first."""
    if line.groups:
        pending = [entry for group in line.groups for entry in group.pending]
        for group in list(line.groups):
            group.remove(line)
        pending.sort(key=_number)
        for _, frame in pending:
            line.outbox.push(frame)


def _number(entry: tuple[int, Frame]) -> int:
    return entry[0]


def _nobody() -> None:
    """Nothing is written before the server runs."""
