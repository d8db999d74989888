"""What nodes tell each other of a session that goes on elsewhere, in MessagePack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from lbproto.log import Entry
from lbproto.wire.formats import msgpack_encoder

__all__ = ["Handed", "Own", "Owns", "Taken", "Wanted", "batches", "own", "size"]

_ANSWER = 128 * 1024  # bytes of one answer, about


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
    """Whose session is asked for, and how far its client has got."""

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


class Taken(msgspec.Struct, array_like=True):
    """A session that has begun elsewhere; what it was sent since it was handed over follows.

    Attributes:
        left: rooms that it has been taken out of since.
        jobs: those that it is told of, each with how many of its events it has got.
    """

    left: tuple[str, ...]
    jobs: tuple[tuple[str, int], ...]


def own(entry: Entry) -> Own:
    """What was sent, as it travels."""
    event = entry.event
    payload = msgspec.Raw(msgpack_encoder.encode(event))
    return Own(entry.position, event.event_name, payload, entry.answers)


def size(sent: Own) -> int:
    """Bytes of it, about."""
    return memoryview(sent.payload).nbytes + len(sent.event)


def batches(sent: Sequence[Own]) -> Iterator[Owns]:
    """So many at a time as fit into an answer."""
    batch: list[Own] = []
    filled = 0
    for each in sent:
        batch.append(each)
        filled += size(each)
        if filled >= _ANSWER:
            yield tuple(batch)
            batch, filled = [], 0
    if batch:
        yield tuple(batch)
