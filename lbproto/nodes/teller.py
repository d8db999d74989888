"""A node's announcements of its members, numbered and of bounded size. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

import msgspec
from msgspec import Raw

from lbproto.nodes.messages import Beat, Changes, Share, Whole, in_parts

__all__ = ["Teller", "parts_of"]

_PART_BYTES = 32 * 1024  # of one message, about
_SHARE_BYTES = 16  # that a share takes beside its names, about

_encode = msgspec.msgpack.Encoder().encode


class Teller:
    """Makes a node's announcements.

    Args:
        node: its id.
    """

    def __init__(self, node: str) -> None:
        self._node = node
        self._number = -1

    def changes(self, shares: Iterable[Share]) -> Iterator[Changes]:
        """Say what has changed."""
        for part in _parts(shares):
            yield Changes(self._node, self._next(), part)

    def whole(self, shares: Iterable[Share]) -> Iterator[Whole]:
        """Say all that there is."""
        parts = parts_of(shares)
        for at, part in enumerate(parts):
            begins, ends = at == 0, at == len(parts) - 1
            yield Whole(self._node, self._next(), begins, ends, part)

    def beat(self) -> Beat:
        """Say that the node lives."""
        return Beat(self._node, self._number)

    def skip(self) -> None:
        """Something was not said: whoever has heard all before has missed it."""
        self._next()

    def _next(self) -> int:
        self._number += 1
        return self._number


def parts_of(shares: Iterable[Share]) -> list[Raw]:
    """Shares as messages have them, in parts of bounded size, at least one."""
    return [Raw(_encode(part)) for part in _parts(shares)] or [Raw(_encode(()))]


def _parts(shares: Iterable[Share]) -> Iterator[tuple[Share, ...]]:
    """Shares in parts of bounded size; one with many users in several."""
    return in_parts(chain.from_iterable(map(_pieces, shares)), _size, _PART_BYTES)


def _pieces(share: Share) -> Iterator[Share]:
    if _size(share) <= _PART_BYTES:
        yield share
        return
    for users, is_here in ((share.came, True), (share.gone, False)):
        for some in in_parts(users, _bytes, _PART_BYTES):
            came, gone = (some, ()) if is_here else ((), some)
            yield Share(share.room, share.sessions, came, gone)


def _size(share: Share) -> int:
    return _SHARE_BYTES + _bytes(share.room) + sum(map(_bytes, chain(share.came, share.gone)))


def _bytes(name: str) -> int:
    return 5 + (len(name) if name.isascii() else 4 * len(name))
