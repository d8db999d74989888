"""Messages between nodes about a session that moves, in MessagePack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum

import msgspec

from lbproto.delivery.log import Entry, Lane
from lbproto.nodes.messages import in_parts
from lbproto.wire.formats import msgpack_encoder

__all__ = [
    "Answers",
    "Handed",
    "Leavings",
    "Own",
    "Owns",
    "Refusal",
    "Taken",
    "Wanted",
    "batches",
    "left",
    "own",
    "size",
]

_MAX_ANSWER_BYTES = 128 * 1024  # bytes of one answer, about
_MAX_TAIL_BYTES = 64 * 1024  # bytes of what was sent to one session that outlive its node


class Own(msgspec.Struct, array_like=True):
    """Something that was sent to one session, by now as its own.

    Attributes:
        position: in its node's log, as in offsets.
        event: its name.
        payload: the event, in MessagePack.
        answers: the request it answers.
    """

    position: int
    event: str
    payload: msgspec.Raw
    answers: int | str | None = None


Owns = tuple[Own, ...]


class Wanted(msgspec.Struct, array_like=True):
    """Asks for a session, and says how far its client has got."""

    pid: str
    user_id: str
    offset: str


class Handed(msgspec.Struct, array_like=True):
    """A session that goes on elsewhere; `missed` events follow, which have got it to `position`."""

    sid: str
    began: float
    rooms: tuple[str, ...]
    position: str
    missed: int


class Refusal(IntEnum):
    """Why a session that is here is not handed over."""

    FOR_NOW = 0  # its node stops, and is about to leave it, or cannot tell its rights
    FOR_GOOD = 1  # what its client has missed is gone


class Answers:
    """Collects the answers of nodes to a question for a session.

    Beside its node another may have it still, which was not told that it has gone on.
    """

    def __init__(self) -> None:
        self._handed: dict[str, tuple[Handed, list[Own]]] = {}  # by node
        self._refused: list[Refusal] = []

    def take(self, node: str, answer: msgspec.Raw) -> bool:
        """A node has answered; returns whether it has handed over all."""
        if node in self._handed:
            self._handed[node][1].extend(msgspec.msgpack.decode(answer, type=Owns))
        else:
            first = msgspec.msgpack.decode(answer, type=Handed | Refusal)
            if isinstance(first, Refusal):
                self._refused.append(first)
                return False
            self._handed[node] = first, []
        handed, missed = self._handed[node]
        return len(missed) == handed.missed

    def best(self) -> tuple[Handed | Refusal | None, list[Own]]:
        """The session, with what its client has missed; or why it is not handed over."""
        for handed, missed in self._handed.values():
            if len(missed) == handed.missed:
                return handed, missed
        return min(self._refused, default=None), []


class Taken(msgspec.Struct, array_like=True):
    """A session that has begun elsewhere; `late` events follow, sent since it was handed over.

    Attributes:
        left: rooms that it has been taken out of since.
        jobs: those that it is told of, each with how many of its events it has got.
    """

    left: tuple[str, ...]
    jobs: tuple[tuple[str, int], ...]
    late: int


class Leavings:
    """Collects the answers of nodes that are told of a session that has begun elsewhere.

    Attributes:
        complete: whether a node has answered all that it had.
    """

    def __init__(self) -> None:
        self.complete = False
        self._taken: dict[str, tuple[Taken, list[Own]]] = {}  # by node

    def take(self, node: str, answer: msgspec.Raw) -> tuple[Taken, list[Own]] | None:
        """A node has answered; returns what it had, with the late events, once it is all there."""
        if node in self._taken:
            self._taken[node][1].extend(msgspec.msgpack.decode(answer, type=Owns))
        else:
            self._taken[node] = msgspec.msgpack.decode(answer, type=Taken), []
        taken, late = self._taken[node]
        if len(late) < taken.late:
            return None
        self.complete = True
        return taken, late


def own(entry: Entry) -> Own:
    """An event sent to one session, as it travels."""
    event = entry.event
    payload = msgspec.Raw(msgpack_encoder.encode(event))
    return Own(entry.position, event.event_name, payload, entry.answers)


def size(sent: Own) -> int:
    """Bytes of it, about."""
    return memoryview(sent.payload).nbytes + len(sent.event)


def batches(sent: Sequence[Own]) -> Iterator[Owns]:
    """So many at a time as fit into an answer."""
    return in_parts(sent, size, _MAX_ANSWER_BYTES)


def left(lane: Lane, sid: str, position: int) -> tuple[int, Owns]:
    """What a node that stops leaves of what it has sent to one session alone.

    Args:
        lane: the session's.
        sid: its id.
        position: how far the node's log has got.

    Returns:
        From where on that is known, and that, in order.
    """
    floor = lane.floor(sid)
    kept: list[Own] = []
    bytes_ = 0
    for entry in lane.between(floor, position):
        each = own(entry)
        bytes_ += size(each)
        if bytes_ > _MAX_TAIL_BYTES:
            floor = entry.position
            break
        kept.append(each)
    return floor, tuple(reversed(kept))
