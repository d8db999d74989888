"""How messages travel by way of a broker: several together, and numbered. Pure and synchronous.

What a node publishes to one channel within one turn of the event loop travels as one parcel. Its
messages are numbered, by publisher and channel, so that whoever gets them tells what came twice,
which a publisher sends that has lost its connection before it was answered, from what is missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

__all__ = ["OVERHEAD", "Packed", "Packer", "Parcel", "Progress"]

OVERHEAD = 64
"""What every parcel has besides its messages, in bytes, at most."""

_HEADER = 5
"""What each message does."""

_MAX_CHANNELS = 65_536
"""Of how many channels a publisher knows how far it has got."""

_MAX_PUBLISHERS = 256
"""Of how many publishers a channel does."""


class Parcel(msgspec.Struct, array_like=True):
    """Messages from one node to one channel.

    Attributes:
        node: who published them.
        start: the number that its count of this channel began with.
        first: the number of the first; the others follow.
        payloads: what they say.
    """

    node: str
    start: int
    first: int
    payloads: list[bytes]


class Packed(NamedTuple):
    """A parcel as it travels.

    Attributes:
        channel: where to.
        data: the parcel, encoded.
        messages: how many it holds.
        size: bytes of their payloads.
    """

    channel: str
    data: bytes
    messages: int
    size: int


class Packer:
    """Packs what one node publishes.

    A number is greater than all of this node's before it, in whatever channel, so that those of a
    channel that was forgotten meanwhile go on rising.

    Args:
        node: who publishes; nobody else has this name.
        max_bytes: of a parcel, less what is in every one, unless a single message is larger.

    Attributes:
        mark: what every parcel of this node begins with.
    """

    def __init__(self, node: str, max_bytes: int, max_channels: int = _MAX_CHANNELS) -> None:
        self._node = node
        self._max_bytes = max_bytes
        self._max_channels = max_channels
        self._encode = msgspec.msgpack.Encoder().encode
        self._counts: dict[str, tuple[int, int]] = {}  # by channel: its start, and what is next
        self._highest = 0
        self.mark = self._encode(Parcel(node, 0, 0, []))[:-3]

    def pack(self, messages: Iterable[tuple[str, bytes]]) -> list[Packed]:
        """Pack messages, which are `(channel, payload)`; those of a channel stay in order."""
        packed: list[Packed] = []
        filling: dict[str, list[bytes]] = {}
        sizes: dict[str, int] = {}
        for channel, payload in messages:
            size = len(payload) + _HEADER
            filled = sizes.get(channel, 0) + size
            if filled > self._max_bytes and channel in filling:
                packed.append(self._packed(channel, filling.pop(channel)))
                filled = size
            filling.setdefault(channel, []).append(payload)
            sizes[channel] = filled
        packed += (self._packed(channel, payloads) for channel, payloads in filling.items())
        return packed

    def _packed(self, channel: str, payloads: list[bytes]) -> Packed:
        start, first = self._counts.pop(channel, (0, 0))
        if not start:
            start = first = self._highest + 1
            if len(self._counts) >= self._max_channels:
                del self._counts[next(iter(self._counts))]  # unused for the longest time
        following = first + len(payloads)
        self._counts[channel] = start, following
        self._highest = max(self._highest, following - 1)
        data = self._encode(Parcel(self._node, start, first, payloads))
        return Packed(channel, data, len(payloads), sum(map(len, payloads)))


class Progress:
    """How far one who has subscribed to a channel has got with each publisher."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def advance(self, parcel: Parcel) -> int | None:
        """A parcel has come.

        Returns:
            How many messages should have come before it and have not; None where it has come
            before. Of a publisher that was never heard, nothing is missing.
        """
        last = self._last.pop(parcel.node, None)
        if last is not None and parcel.first <= last:
            self._last[parcel.node] = last
            return None
        if len(self._last) >= _MAX_PUBLISHERS:
            del self._last[next(iter(self._last))]  # unheard for the longest time
        self._last[parcel.node] = parcel.first + len(parcel.payloads) - 1
        return 0 if last is None else max(parcel.first - max(last + 1, parcel.start), 0)
