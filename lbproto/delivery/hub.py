"""Delivery on one node: finds an event's recipients, and encodes it once per wire format.

A broadcast puts the same frame into each member's outbox, synchronously: no task, no await and no
encoding for any recipient. The other nodes get it through pub/sub, once per node. What was sent is
kept in the log for those who have lost their connection.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence

import msgspec

from lbproto.backends.base import PubSub
from lbproto.clock import Clock
from lbproto.delivery.forward import beside, forward
from lbproto.delivery.log import Entry, Log
from lbproto.delivery.outbox import Pushed
from lbproto.errors import LimitExceeded, NotFound, Overloaded
from lbproto.events import Event
from lbproto.frame import Frame
from lbproto.overflow import disconnect
from lbproto.registry import RESERVED, Emission, Registry
from lbproto.rooms.index import Member, Room, Rooms
from lbproto.traces import Traces
from lbproto.wire.formats import RequestId, WireFormat
from lbproto.wire.port import Socket

__all__ = ["Hub", "Receipt"]

logger = logging.getLogger(__name__)

_TRIM_SECONDS = 10.0
_MAX_UNKNOWN = 100  # rooms that the log tells of


class Receipt(msgspec.Struct, frozen=True):
    """What happened to one emit, on this node.

    Attributes:
        matched: sessions that are to get it.
        queued: sessions in whose outbox it is now.
        dropped: sessions whose outbox was full.
        conflated: sessions of `queued` in whose outbox it replaced an older event.
        away: disconnected sessions; they get it when they resume.
    """

    matched: int
    queued: int
    dropped: int
    conflated: int
    away: int = 0


class Hub:
    """One node's delivery.

    Args:
        rooms: the members of rooms.
        registry: the declared events, with their policies.
        pubsub: the way to the other nodes.
        log: keeps the events sent.
        clock: when it was sent.
        resumable: whether clients are told how far they have got, so that they can resume.

    Attributes:
        deliveries: events queued for sessions so far, each once for every session.
        traces: told of what goes to other nodes, and comes from them; None for nobody.
    """

    def __init__(
        self,
        rooms: Rooms,
        registry: Registry,
        pubsub: PubSub,
        log: Log,
        clock: Clock,
        *,
        resumable: bool,
    ) -> None:
        self._rooms = rooms
        self._registry = registry
        self._pubsub = pubsub
        self._log = log
        self._clock = clock
        self._resumable = resumable
        self.deliveries = 0
        self.traces: Traces | None = None
        self._emissions: dict[type[Event], Emission] = {}  # those that are in use
        self._unknown: set[str] = set()  # rooms that only other nodes may have, if any

    def send(self, member: Member, event: Event, answers: RequestId | None = None) -> Receipt:
        """Send to one session.

        Args:
            answers: the request this answers.

        Raises:
            UsageError: nobody declared the event.
        """
        self._emission(event)
        entry = self._log.entry(event, answers, self._pubsub.position)
        return self._push(member, entry, self._encode(entry, member.format))

    def send_at_once(
        self, member: Member, events: Sequence[tuple[Event, RequestId | None]]
    ) -> None:
        """Send to one session what it has missed; only the last event carries the shared position.

        Args:
            events: each with the request it answers.
        """
        for at, (event, answers) in enumerate(events, 1):
            self._emission(event)
            shared = self._pubsub.position if at == len(events) else ""
            entry = self._log.entry(event, answers, shared)
            self._push(member, entry, self._encode(entry, member.format))

    def answer(self, member: Member, event: Event, request: RequestId) -> Receipt:
        """Send the first answer to a request, and acknowledge the request with it.

        Raises:
            UsageError: nobody declared the event.
        """
        log, format_ = self._log, member.format
        if self._emission(event).policy is disconnect:
            entry = log.entry(event, request, self._pubsub.position)
            offset = self._offset(entry)
            return self._push(member, entry, format_.answer(event, request, offset))
        receipt = self.send(member, event, request)
        if not format_.answers_acknowledge:  # by itself: the event may be dropped, this may not
            body = {"ok": True, "event": event.event_name, "data": event}
            member.push(format_.acknowledgement(request, (body,)))
        return receipt

    def _push(self, member: Member, entry: Entry, frame: Frame) -> Receipt:
        entry.size += len(frame.data)  # nearly no answer is sent again: it would be encoded then
        outcome = member.push(frame)
        if self._resumable:
            self._log.append((entry,), member.lane, self._clock.monotonic())
        receipt = _receipt(1, {outcome: 1}) if outcome else _QUEUED
        self.deliveries += receipt.queued
        return receipt

    def notify(self, socket: Socket, event: Event, offset: str | None = None) -> None:
        """Send a client a notice about its connection; it is not kept for a resume.

        Args:
            offset: how far the client is once it has got this; by default all the way.
        """
        if self._resumable:
            offset = offset or self.offset
        socket.push(socket.format.event(event.event_name, (event,), offset=offset))

    def ask(self, socket: Socket, event: Event, id_: int) -> None:
        """Ask one client to acknowledge an event.

        Raises:
            UsageError: nobody declared the event.
        """
        self._registry.emission(event)
        socket.push(socket.format.event(event.event_name, (event,), asks=id_))

    def frame(self, entry: Entry, format_: WireFormat) -> Frame:
        """An event that was sent before, to be sent again."""
        if entry.frames is None:
            entry.frames = {}
        frame = entry.frames.get(format_)
        if frame is None:
            frame = entry.frames[format_] = self._encode(entry, format_)
        return frame

    def publish(self, room: str, except_: Collection[str], event: Event) -> Receipt:
        """Send to everyone in a room, on every node; the event comes last, for a `Target` to add.

        Args:
            except_: ids of sessions that do not get it.

        Raises:
            UsageError: nobody declared the event.
            NotFound: nobody declared such a room, and there is no other node.
            Overloaded: the buffer to the other nodes is full; nobody got it.
            LimitExceeded: the event is larger than nodes send each other; nobody got it.
        """
        self._emission(event)
        found = self._rooms.get(room)
        is_awaited = self._pubsub.is_awaited(room, kept=self._resumable)
        if found is None:
            self._check_room(room, is_awaited)
        if is_awaited:
            self._pubsub.publish_nowait(room, self._forwarded(event, except_), kept=self._resumable)
        return _NOBODY if found is None else self._deliver(found, (event,), except_)

    def _check_room(self, room: str, is_awaited: bool) -> None:
        """Refuse to emit to a room that no plugin declared, unless another node may have it.

        In an update node by node, one may be told of rooms that are of the other version.
        """
        try:
            self._registry.check_room(room)
        except NotFound:  # it may be a client that has named it, who is told so
            if not is_awaited or room.startswith(RESERVED):
                raise
            if room not in self._unknown and len(self._unknown) < _MAX_UNKNOWN:
                self._unknown.add(room)
                logger.warning(
                    "no plugin of this node declared the room %r: what is emitted to it goes to "
                    "other nodes",
                    room,
                )

    def keep(self, room: str, event: Event) -> None:
        """Append an event to the log that all nodes share, and deliver it to nobody.

        Sessions that resume on another node find it there; members have got it another way.

        Where it cannot be kept, the log says so.
        """
        if self._resumable and self._pubsub.position:
            try:
                self._pubsub.publish_nowait(beside(room), self._forwarded(event, ()), kept=True)
            except (Overloaded, LimitExceeded) as error:
                logger.warning("%s: %r is not kept", error, event.event_name)

    def announce(self, room: str, events: Sequence[Event], except_: Collection[str] = ()) -> None:
        """Like `publish`, but never refused: the events report what has already happened.

        Other nodes that cannot take it are not told; the log says so.
        """
        for event in events:
            self._emission(event)
        if self._pubsub.is_awaited(room, kept=self._resumable):
            for event in events:
                try:
                    self._pubsub.publish_nowait(
                        room, self._forwarded(event, except_), kept=self._resumable
                    )
                except (Overloaded, LimitExceeded) as error:
                    logger.warning("%s: only this node was told of %r", error, event.event_name)
        self.deliver(room, events, except_)

    def deliver(self, name: str, events: Sequence[Event], except_: Collection[str] = ()) -> Receipt:
        """Send events to those who are in a room on this node; what became of all of them.

        They are declared.
        """
        room = self._rooms.get(name)
        return _NOBODY if room is None else self._deliver(room, events, except_)

    def _deliver(self, room: Room, events: Sequence[Event], except_: Collection[str]) -> Receipt:
        alone = _set_apart(room, except_)
        entries = self._log.entries(events, except_, self._pubsub.position)
        made: dict[WireFormat, list[Frame]] = {}
        outcomes: dict[int, int] = {}
        matched = len(alone)
        for format_, group in room.groups.items():
            if group.lines:
                matched += len(group.lines)
                made[format_] = self._encode_all(entries, format_)
                for frame in made[format_]:
                    group.push(frame)
        for member in alone:
            format_ = member.format
            frames = made.get(format_)
            if frames is None:
                frames = made[format_] = self._encode_all(entries, format_)
            for frame in frames:
                outcome = member.push(frame)
                if outcome:
                    outcomes[outcome] = outcomes.get(outcome, 0) + 1
        if matched and (self._resumable or room.held):
            if outcomes:  # some have not got it, and may have it sent again
                _keep(made, entries)
            self._log.append(entries, room.lane, self._clock.monotonic())
        receipt = _receipt(matched, outcomes) if outcomes else Receipt(matched, matched, 0, 0)
        self.deliveries += receipt.queued
        return receipt

    def _forwarded(self, event: Event, except_: Collection[str]) -> bytes:
        return forward(event, except_, None if self.traces is None else self.traces.carried())

    def _emission(self, event: Event) -> Emission:
        """See `Registry.emission`: asked once for each class."""
        found = self._emissions.get(type(event))
        if found is None:
            found = self._emissions[type(event)] = self._registry.emission(event)
        return found

    def _encode_all(self, entries: Sequence[Entry], format_: WireFormat) -> list[Frame]:
        """What is sent now; the log counts it, and keeps it where somebody has not got it."""
        frames: list[Frame] = []
        for entry in entries:
            frame = self._encode(entry, format_)
            entry.size += len(frame.data)
            frames.append(frame)
        return frames

    def _encode(self, entry: Entry, format_: WireFormat) -> Frame:
        event = entry.event
        policy = self._emission(event).policy
        frame = format_.typed(event, entry.answers, self._offset(entry))
        if policy is not disconnect:
            frame.overflow = policy.overflow
            frame.key = policy.key(event) if policy.key else None
        return frame

    def _offset(self, entry: Entry) -> str | None:
        return self._log.offset(entry.position, entry.shared) if self._resumable else None

    @property
    def offset(self) -> str:
        """That of a client which has got everything up to now."""
        return self._log.offset(self._log.position, self._pubsub.position)

    @property
    def shared_position(self) -> str:
        """How far this node has got in the log that all share; "" where there is none."""
        return self._pubsub.position

    async def run(self) -> None:
        """Trim the log by age, also while nothing is sent, until cancelled."""
        while True:
            await self._clock.sleep(_TRIM_SECONDS)
            self._log.trim(self._clock.monotonic())


_QUEUED = Receipt(1, 1, 0, 0)
_NOBODY = Receipt(0, 0, 0, 0)


def _set_apart(room: Room, except_: Collection[str]) -> list[Member]:
    """Those in a room who are sent to by themselves; the others are in its groups."""
    room.step_in()
    if not except_:
        return list(room.alone)
    room.step_out(except_)
    return [member for member in room.alone if member.sid not in except_]


def _keep(made: Mapping[WireFormat, Sequence[Frame]], entries: Sequence[Entry]) -> None:
    """Keep in each entry how it was encoded."""
    for at, entry in enumerate(entries):
        entry.frames = {format_: frames[at] for format_, frames in made.items()}


def _receipt(matched: int, outcomes: dict[int, int]) -> Receipt:
    dropped = outcomes.get(Pushed.DROPPED, 0)
    away = outcomes.get(Pushed.AWAY, 0)
    conflated = outcomes.get(Pushed.CONFLATED, 0)
    return Receipt(matched, matched - dropped - away, dropped, conflated, away)
