"""Encodes and decodes a node's position in the logs of all shards. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from lbproto.backends.parcels import Place

__all__ = ["Position", "position", "positions"]

_POSITION = re.compile(
    r"(?P<node>[A-Za-z0-9_-]{1,16})(?P<shards>(?::[0-9a-f]{1,13}:[0-9a-f]{1,13}:[0-9a-f]{1,13}){1,6})"
)


class Position(NamedTuple):
    """A node's position in one log.

    Attributes:
        node: which.
        own: how many messages it had published.
        place: up to where it had been given those of the others.
    """

    node: str
    own: int
    place: Place

    def includes(self, node: str, own: int, number: int) -> bool:
        """Whether a message of the same epoch belongs to it."""
        return own <= self.own if node == self.node else number <= self.place.number


def position(node: str, shards: Iterable[tuple[int, Place]]) -> str:
    """A position as text, from what is `own` and `place` in each shard."""
    texts = (f":{own:x}:{place.epoch:x}:{place.number:x}" for own, place in shards)
    return f"{node}{''.join(texts)}"


def positions(text: str, shards: int) -> list[Position]:
    """Decode a position of so many shards.

    Raises:
        ValueError: it is not a position.
    """
    match = _POSITION.fullmatch(text)
    numbers = [int(each, 16) for each in match["shards"].split(":")[1:]] if match else []
    if match is None or len(numbers) != 3 * shards:
        raise ValueError("not a position of this pub/sub")
    each = zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True)
    return [Position(match["node"], own, Place(epoch, number)) for own, epoch, number in each]
