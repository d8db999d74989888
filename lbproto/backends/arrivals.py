"""Messages that a broker has delivered and the node has not taken yet; bounded."""

from __future__ import annotations

from typing import NamedTuple

from lbproto.backends.crossing import CallSoon, Crossing
from lbproto.backends.parcels import Place

__all__ = ["Arrivals", "Arrived"]

_MAX_BEHIND = 65_536  # messages, and bytes, that a node may be behind what it has received
_MAX_BEHIND_BYTES = 64 * 1024 * 1024


class Arrived(NamedTuple):
    """A message for the node.

    Attributes:
        channel: where it was published; None where there is only the place.
        payload: None where something is lost.
        shard: which log's the place is.
        place: how far the node has got with it; None where that is as before.
    """

    channel: str | None
    payload: bytes | None
    shard: int = 0
    place: Place | None = None


class Arrivals:
    """Messages on their way to the node's event loop.

    What is too much is dropped. The node is told that of each channel as soon as it can be, and
    before it is given anything else.

    Attributes:
        received: messages that the node is given.
        dropped: those that it is not.
    """

    def __init__(self) -> None:
        self._crossing: Crossing[Arrived] = Crossing(_MAX_BEHIND, _MAX_BEHIND_BYTES)
        self._overrun: dict[str, None] = {}  # channels of what was dropped, until the node knows
        self.received = self.dropped = 0

    def open(self, later: CallSoon, enter: CallSoon | None) -> None:
        """Begin anew, empty; see `Crossing.open`."""
        self._overrun.clear()
        self.received = self.dropped = 0
        self._crossing.open(later, enter)

    def close(self) -> None:
        """Refuse further messages."""
        self._crossing.close()

    @property
    def crowded(self) -> bool:
        """Whether it is half full: who can, waits."""
        return self._crossing.count > _MAX_BEHIND // 2

    def give(self, arrived: Arrived) -> None:
        """Hand over to the node."""
        payload = arrived.payload
        if self.tell_overrun() and self._crossing.put(arrived, len(payload or b"")):
            self.received += payload is not None
        elif arrived.channel is not None and self._crossing.is_open:
            self.dropped += payload is not None
            self._overrun[arrived.channel] = None

    def tell_overrun(self) -> bool:
        """Tell the node that something was dropped; whether it knows all of that."""
        while self._overrun:
            channel = next(iter(self._overrun))
            if not self._crossing.put(Arrived(channel, None), 0):
                return False
            del self._overrun[channel]
        return True

    async def take(self) -> list[Arrived]:
        """What has come, in order, for the node's own event loop; waits until there is something.

        It counts until it is released.
        """
        return await self._crossing.take(_MAX_BEHIND_BYTES)

    def release(self, arrived: Arrived) -> None:
        """The node is given this now."""
        self._crossing.release(1, len(arrived.payload or b""))
