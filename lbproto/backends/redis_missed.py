"""The messages of a shard's log between positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from lbproto.backends.parcels import ROOM, Parcel
from lbproto.backends.positions import Position
from lbproto.backends.redis_log import Logged
from lbproto.backends.redis_reader import Reader

__all__ = ["Found", "missed_in"]

_MAX_NODES = 256  # that positions name


async def missed_in(
    reader: Reader, here: Position, behind: Mapping[str, Sequence[Position]]
) -> list[tuple[str, bytes]] | None:
    """See `PubSub.missed`.

    Args:
        reader: of the log.
        here: the one position; what its node has published is in the log.
        behind: the others, for each channel at least one.
    """
    others = [each for positions in behind.values() for each in positions]
    ahead: dict[str, int] = {}
    for each in others:
        if each.node != here.node:
            ahead[each.node] = max(ahead.get(each.node, 0), each.own)
    if len(ahead) > _MAX_NODES:
        return None
    head = await reader.head_with(ahead)
    epochs = {here.place.epoch, *(each.place.epoch for each in others)}
    if head is None or epochs != {head.epoch} or any(each.place > head for each in others):
        return None
    after = min(max(each.place.number for each in positions) for positions in behind.values())
    parcels = await reader.read(behind, after, head)
    if parcels is None:
        return None
    found = Found(here, behind)
    for logged in parcels:
        found.look_at(logged)
    return found.messages


class Found:
    """The messages that one position includes and others do not.

    Attributes:
        messages: each with its channel, in the log's order.
    """

    def __init__(self, here: Position, behind: Mapping[str, Sequence[Position]]) -> None:
        self._here = here
        self._behind = behind
        self._latest: dict[tuple[str, str], int] = {}  # by publisher and channel
        self.messages: list[tuple[str, bytes]] = []

    def look_at(self, logged: Logged) -> None:
        """The next parcel of the log to one of the channels."""
        channel = logged.name.removeprefix(ROOM)
        parcel = _decode(logged.data)
        node = parcel.node
        if not parcel.kept or parcel.own[-1] <= self._latest.get((node, channel), 0):
            return  # what comes a second time had not been answered to its publisher
        self._latest[node, channel] = parcel.own[-1]
        numbers = range(logged.follows + 1, logged.place.number + 1)
        for number, own, payload in zip(numbers, parcel.own, parcel.payloads, strict=True):
            if self._here.includes(node, own, number) and not any(
                each.includes(node, own, number) for each in self._behind[channel]
            ):
                self.messages.append((channel, payload))


_decode = msgspec.msgpack.Decoder(Parcel).decode
