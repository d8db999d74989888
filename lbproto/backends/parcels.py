"""The format of messages at a broker: numbered, several in a parcel. Pure.

What a node publishes to one channel within one turn of the event loop travels as one parcel. Its
messages are numbered, by publisher and channel, so that whoever gets them tells what came twice,
which a publisher sends that has lost its connection before it was answered, from what is missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

__all__ = ["OVERHEAD", "ROOM", "Message", "Packed", "Packer", "Parcel", "Place", "Progress"]

OVERHEAD = 64
"""What every parcel has besides its messages, in bytes, at most."""

ROOM = "room:"
"""What the name of a channel begins with, among all that a node sends by way of the broker."""

_HEADER = 5
"""What each message does."""

_MAX_CHANNELS = 65_536
"""Of how many channels a publisher knows how far it has got."""

_MAX_PUBLISHERS = 256
"""Of how many publishers a channel does."""


class Place(NamedTuple):
    """A place in a log; a greater one is later.

    Attributes:
        epoch: which log: when it began, in milliseconds since 1970, or later.
        number: how many messages it has had by then.
    """

    epoch: int = 0
    number: int = 0


class Message(NamedTuple):
    """A message that a node publishes.

    Attributes:
        channel: where to.
        payload: what it says.
        own: how many the node has published to the log by then, with this one; 0 without a log.
        kept: whether nodes are told of it later that had not got it.
    """

    channel: str
    payload: bytes
    own: int = 0
    kept: bool = False


class Parcel(msgspec.Struct, array_like=True):
    """Messages from one node to one channel.

    Attributes:
        node: who published them.
        start: the number that its count of this channel began with.
        first: the number of the first; the others follow.
        payloads: what they say.
        own: `Message.own` of each; nothing without a log.
        kept: `Message.kept` of all.
        before: where its last message to the channel was in the log before this one; of a parcel
            without messages, which says so.
    """

    node: str
    start: int
    first: int
    payloads: list[bytes]
    own: list[int] = []
    kept: bool = False
    before: Place = Place()


class Packed(NamedTuple):
    """A parcel as it travels.

    Attributes:
        channel: where to.
        data: the parcel, encoded.
        messages: how many it holds.
        size: bytes of their payloads.
        own: the greatest `Message.own` of them.
        start: `Parcel.start`.
        following: the number of what comes next in that channel.
    """

    channel: str
    data: bytes
    messages: int
    size: int
    own: int
    start: int
    following: int


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
        self.mark = self._encode(Parcel(node, 0, 0, []))[: 1 + len(self._encode(node))]

    def pack(self, messages: Iterable[Message]) -> list[Packed]:
        """Pack messages; those of a channel stay in order."""
        packed: list[Packed] = []
        filling: dict[str, list[Message]] = {}
        sizes: dict[str, int] = {}
        for message in messages:
            channel = message.channel
            size = len(message.payload) + _HEADER
            filled = sizes.get(channel, 0) + size
            others = filling.get(channel)
            if others is None:
                filling[channel] = [message]
            elif filled > self._max_bytes or message.kept is not others[0].kept:
                packed.append(self._packed(filling.pop(channel)))
                filling[channel] = [message]
                filled = size
            else:
                others.append(message)
            sizes[channel] = filled
        packed += map(self._packed, filling.values())
        return packed

    def _packed(self, messages: list[Message]) -> Packed:
        channel, _, own, kept = messages[-1]
        start, first = self._counted(channel, len(messages))
        payloads = [message.payload for message in messages]
        owns = [message.own for message in messages] if own else []
        data = self._encode(Parcel(self._node, start, first, payloads, owns, kept))
        size = sum(map(len, payloads))
        return Packed(channel, data, len(payloads), size, own, start, first + len(payloads))

    def remind(self, channel: str, start: int, following: int, before: Place) -> Packed:
        """A parcel without messages, from which others see whether they miss the last ones.

        Args:
            channel: where these went.
            start: `Packed.start` of the last one.
            following: `Packed.following` of it.
            before: where it was in the log.
        """
        data = self._encode(Parcel(self._node, start, following, [], before=before))
        return Packed(channel, data, 0, 0, 0, start, following)

    def _counted(self, channel: str, messages: int) -> tuple[int, int]:
        """Count so many more; what the count began with, and the number of the first."""
        start, first = self._counts.pop(channel, (0, 0))
        if not start:
            start = first = self._highest + 1
            if len(self._counts) >= self._max_channels:
                del self._counts[next(iter(self._counts))]  # unused for the longest time
        following = first + messages
        self._counts[channel] = start, following
        self._highest = max(self._highest, following - 1)
        return start, first


class Progress:
    """A subscriber's position in a channel, for each publisher."""

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
