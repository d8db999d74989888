"""The messages between nodes, in MessagePack."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import msgspec
from msgspec import Raw

__all__ = [
    "Answer",
    "Beat",
    "Call",
    "Changes",
    "Enquiry",
    "Farewell",
    "Given",
    "Gone",
    "Message",
    "Read",
    "Share",
    "Whole",
    "decode",
    "encode",
    "in_parts",
]

T = TypeVar("T")


class Share(msgspec.Struct, array_like=True, frozen=True):
    """A node's share of a room.

    Attributes:
        sessions: how many of its sessions count there.
        came: users of these, where the room announces users: in `Whole` all of them, in `Changes`
            those whose first session on the node has come.
        gone: users whose last session on the node has gone.
    """

    room: str
    sessions: int
    came: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


class _Said(msgspec.Struct, array_like=True):
    """A message; `node` is the sender's id."""

    node: str


class Changes(_Said, tag="changes"):
    """Changed shares; a node numbers its `Changes` and `Whole` messages together, from 0."""

    number: int
    shares: tuple[Share, ...]


class Whole(_Said, tag="whole"):
    """A part of all that there is, for those who do not know it: they come one after the other."""

    number: int
    begins: bool
    ends: bool
    shares: Raw


class Beat(_Said, tag="beat"):
    """The node lives; `number` is that of the last it has said."""

    number: int


class Enquiry(_Said, tag="enquiry"):
    """Asks a node, or all (None), for the whole."""

    of: str | None


class Farewell(_Said, tag="farewell"):
    """The node stops, and nobody is there any more."""


class Gone(_Said, tag="gone"):
    """Another node, `of`, is dead: a part of all who were there, for those who have not met it."""

    of: str
    shares: Raw


class Call(_Said, tag="call"):
    """Asks for something to be done.

    Attributes:
        id: the caller's own.
        trace: what it is asked in, as a W3C `traceparent`, where that is recorded.
    """

    id: int
    name: str
    body: Raw
    trace: str | None = None


class Answer(_Said, tag="answer"):
    """Answers a call; `number` counts its answers, from 0."""

    id: int
    number: int
    is_last: bool
    body: Raw


class Read(_Said, tag="read"):
    """To whom answers a call at length: so many more answers were read; None is enough.

    None of them (0) asks for `Given`.
    """

    id: int
    many: int | None


class Given(_Said, tag="given"):
    """How many answers were given to a call so far; -1 where it is not answered any more."""

    id: int
    many: int


Message = Changes | Whole | Beat | Enquiry | Farewell | Gone | Call | Answer | Read | Given

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Message).decode


def in_parts(items: Iterable[T], size: Callable[[T], int], most: int) -> Iterator[tuple[T, ...]]:
    """As many at a time as fit into a message, about: the last one may exceed `most` bytes."""
    part: list[T] = []
    filled = 0
    for each in items:
        part.append(each)
        filled += size(each)
        if filled >= most:
            yield tuple(part)
            part, filled = [], 0
    if part:
        yield tuple(part)
