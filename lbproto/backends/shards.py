"""One node's state of one shard's log. Synchronous."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lbproto.backends.parcels import ROOM, Packed, Packer, Place
from lbproto.backends.redis_log import Append, Logged

__all__ = ["Shard"]

_MAX_SENT = 65_536  # channels
_MAX_HELD = 65_536  # parcels


class _Sent(NamedTuple):
    """The last message that a node has sent to a channel.

    Attributes:
        place: where it was in the log.
        when: when it was sent, by the event loop's time.
        start: `Packed.start`.
        following: `Packed.following`.
    """

    place: Place
    when: float
    start: int
    following: int


class Shard:
    """A shard, as one node sees it: what it has published there, and what it has got.

    Args:
        index: which.
        tag: what stands for it in names.
        packer: packs what the node publishes.

    Attributes:
        taken: how many messages of the node have come to the log.
        known: the furthest place that the node knows of.
        reached: up to where the node has been given what it has subscribed to.
        before: how far it had come in the epoch before that one.
        heard: when it was sure last that it hears the shard, by the event loop's time.
        target: how far the log had come when this link heard it first; None before.
        held: what has come by this link behind the target.
        live: whether what was missed is read, so that nothing more is held.
        reminders: parcels that tell others of a lost log what was in it, until it has them.
    """

    def __init__(self, index: int, tag: str, packer: Packer) -> None:
        self.index = index
        self.tag = tag
        self._packer = packer
        self.taken = 0
        self.target: Place | None = None
        self.held: list[Logged] = []
        self.live = False
        self.known = self.reached = self.before = Place()
        self.heard = 0.0
        self.reminders: list[Packed] = []
        self._epoch = 0  # of the last answer
        self._sent: dict[str, _Sent] = {}  # by channel

    # What the node publishes

    def append(self, parcels: Sequence[Packed]) -> Append:
        """How parcels go to the log."""
        own = max(each.own for each in parcels)
        named = [(ROOM + each.channel, each.messages or 1, each.data) for each in parcels]
        return Append(self.tag, self.known, self.taken, own, named)

    def touch(self, node: str) -> Append:
        """How a node sends to itself."""
        return Append(self.tag, self.known, self.taken, 0, [(f"node:{node}", 0, b"")])

    def answered(self, place: Place, since: float) -> None:
        """The log has taken something, and got as far as this.

        Where it has begun anew, others are reminded of what was sent to the one before it: what
        they had not got by then is lost.

        Args:
            since: what was sent before that time is not worth it.
        """
        self.known = max(self.known, place)
        if place.epoch != self._epoch:
            self.reminders += [
                self._packer.remind(channel, sent.start, sent.following, sent.place)
                for channel, sent in self._sent.items()
                if sent.when >= since
            ]
            self._epoch = place.epoch

    def sent(self, parcels: Sequence[Packed], place: Place, now: float) -> None:
        """The log has taken parcels: the last of their messages is there."""
        self.taken = max(each.own for each in parcels)
        number = place.number - sum(each.messages for each in parcels)
        for each in parcels:
            number += each.messages
            self._sent.pop(each.channel, None)
            last = Place(place.epoch, number)
            self._sent[each.channel] = _Sent(last, now, each.start, each.following)
        while len(self._sent) > _MAX_SENT:
            del self._sent[next(iter(self._sent))]

    # What the node gets

    def begin_link(self) -> None:
        """There is another link."""
        self.target, self.held, self.live = None, [], False

    def hear(self, place: Place, now: float) -> None:
        """What the node has sent to itself has come back."""
        if self.target is None:
            self.target = place
        if self.live:
            self.heard = now

    def hold(self, come: Logged) -> None:
        """Keep it, behind the target, until what was before it has been read.

        Raises:
            ConnectionError: that is too much.
        """
        if len(self.held) >= _MAX_HELD:
            raise ConnectionError("more comes than is read")
        self.held.append(come)

    def release(self, now: float) -> list[Logged]:
        """What has come meanwhile."""
        held, self.held, self.live, self.heard = self.held, [], True, now
        return held

    def start(self, place: Place) -> None:
        """The node has never been anywhere: it begins here."""
        self.reached = self.before = place

    def reach(self, place: Place) -> None:
        """The node has got so far."""
        if place.epoch > self.reached.epoch:
            self.before = self.reached
        self.reached = place
