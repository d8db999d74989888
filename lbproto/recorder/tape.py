"""The last of what went over a session's connections: a ring bounded in rows and bytes.

Nothing is decoded here: what came and what was sent is kept as it is, and only read when somebody
wants to see it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lbproto.frame import Frame
from lbproto.messages import Subscribe, Unsubscribe
from lbproto.sessions.session import Session
from lbproto.wire.arguments import Arguments, JSONArguments, MsgpackArguments
from lbproto.wire.formats import RequestId, WireFormat
from lbproto.wire.port import Inbound

__all__ = ["Acknowledged", "Befallen", "Entry", "Sent", "Tape"]

_OVERHEAD = 200  # bytes, about, that an entry takes beside its content
_NODE = 64  # bytes, about, that a value takes once it is decoded


@dataclass(frozen=True, slots=True)
class Sent:
    """A frame to the client, and what became of it (a `Pushed`)."""

    frame: Frame
    outcome: int
    format: WireFormat


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The client has acknowledged an event."""

    id: RequestId


@dataclass(frozen=True, slots=True)
class Befallen:
    """Something has happened to the connection."""

    event: str
    data: Any


Entry = Inbound | Sent | Acknowledged | Befallen


class Tape:
    """What is kept of one session.

    Args:
        session: whose connections they are.
        rooms: those that it is in, but its personal one.
        max_frames: how many entries are kept.
        max_bytes: how many bytes they take together, about.

    Attributes:
        left_out: entries that are not kept any more.
    """

    def __init__(
        self, session: Session, rooms: Sequence[str], max_frames: int, max_bytes: int
    ) -> None:
        self.session = session
        self.left_out = 0
        self._rooms = dict.fromkeys(rooms)
        self._max_frames = max_frames
        self._max_bytes = max_bytes
        self._bytes = 0
        self._entries: deque[tuple[float, int, Entry]] = deque()

    @property
    def rooms(self) -> list[str]:
        """The rooms that the session was in before the first entry, as far as it asked for them."""
        return list(self._rooms)

    @property
    def entries(self) -> list[tuple[float, Entry]]:
        """Each with when it was, by the server's monotonic clock."""
        return [(when, entry) for when, _, entry in self._entries]

    def add(self, when: float, entry: Entry) -> None:
        """Keep an entry, and let go of the oldest where there are too many."""
        if isinstance(entry, Inbound):
            entry = _alone(entry)
        size = _OVERHEAD + _size(entry)
        self._entries.append((when, size, entry))
        self._bytes += size
        while len(self._entries) > self._max_frames or self._bytes > self._max_bytes:
            _, size, oldest = self._entries.popleft()
            self._bytes -= size
            self.left_out += 1
            if isinstance(oldest, Inbound):
                self._follow(oldest)

    def _follow(self, request: Inbound) -> None:
        """Know the rooms also when the request for them is not kept."""
        if request.name not in (Subscribe.event_name, Unsubscribe.event_name):
            return
        try:
            room = request.arguments.first(Subscribe).room
        except Exception:  # noqa: BLE001 - what was refused, whyever, has changed nothing
            return
        if request.name == Subscribe.event_name:
            self._rooms[room] = None
        else:
            self._rooms.pop(room, None)


def _alone(inbound: Inbound) -> Inbound:
    """A request without the message that it came in, which may be much larger."""
    arguments = inbound.arguments
    if isinstance(arguments, JSONArguments | MsgpackArguments):
        arguments = type(arguments)([raw.copy() for raw in arguments.raws])
    return Inbound(inbound.name, arguments, inbound.id)


def _size(entry: Entry) -> int:
    if isinstance(entry, Sent):
        return len(entry.frame.data)
    if isinstance(entry, Inbound):
        return len(entry.name) + _size_of(entry.arguments)
    return 0


def _size_of(arguments: Arguments) -> int:
    if isinstance(arguments, JSONArguments | MsgpackArguments):
        return sum(map(len, arguments.raws))
    return _size_of_values(arguments.values())


def _size_of_values(values: list[Any]) -> int:
    """Of values that are decoded already: at least what they take."""
    size, waiting = 0, values[:]
    while waiting:
        value = waiting.pop()
        size += _NODE
        if isinstance(value, bytes | str):
            size += len(value)
        elif isinstance(value, dict):
            waiting.extend(value)
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
    return size
