"""Sessions that go on here and were another node's: handed over, or taken from what is left.

Theory of operation. A client comes to a node with the private id of a session that is not there.

    its node lives      it is asked for the session, and answers what the client has missed, to the
                        moment, and what jobs the session is told of; there it is over soon after
    its node has died,  the session's record tells its rooms, the pub/sub's log what has been
    or is out of reach  published there since. What the dead node alone had, answers to this one
                        session, is gone with the requests that were under way there
    its node stopped    the same, but the record has what was sent to the session alone, too

Then the session begins here as one that is away, in its rooms; what it has missed is its own, so
that it resumes as if it had been here all along. Between what was read of the log and what comes
from now on there is neither a gap nor an overlap: the rooms' events are held back meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, nullcontext
from functools import partial

import msgspec
from msgspec import Raw

from lbproto.auth import Identity
from lbproto.directory import Directory
from lbproto.dispatch import Dispatcher
from lbproto.errors import Overloaded, UsageError
from lbproto.hub import Hub
from lbproto.inflow import Inflow
from lbproto.jobs.elsewhere import JobsElsewhere
from lbproto.jobs.runner import Jobs
from lbproto.log import Entry, Log, elsewhere, position_in
from lbproto.membership import Membership, Missed
from lbproto.messages import Attach
from lbproto.nodes.calls import Reply
from lbproto.nodes.control import Control
from lbproto.places import Own, Place, Places
from lbproto.recovery import recheck
from lbproto.registry import Registry
from lbproto.rooms import Rooms
from lbproto.session import Session
from lbproto.tasks import StartSoon
from lbproto.wire.formats import msgpack_encoder

__all__ = ["Handover"]

logger = logging.getLogger(__name__)

_MOST = 4 * 1024 * 1024  # bytes that are handed over
_ANSWER = 128 * 1024  # bytes of one answer, about
_PARTED = 64 * 1024  # bytes of what was sent to one session that outlive its node


class _Wanted(msgspec.Struct, array_like=True):
    """Whose session is asked for, and how far its client has got."""

    pid: str
    user_id: str
    offset: str


class _Handed(msgspec.Struct, array_like=True):
    """A session that goes on elsewhere; `missed` events follow, which have got it to `position`.

    Attributes:
        jobs: those that it is told of, each with how many events it has been told.
    """

    sid: str
    began: float
    rooms: tuple[str, ...]
    position: str
    missed: int
    jobs: tuple[tuple[str, int], ...]


class Handover:
    """Sessions that come from other nodes, or go to them.

    Args:
        directory: the sessions here.
        places: the records of sessions; None where there are none.
        control: the other nodes.
        membership: puts sessions into rooms.
        rooms: what they have missed there.
        hub: delivers.
        inflow: knows what has come from other nodes.
        log: how far clients have got.
        registry: the events that there are.
        dispatcher: makes contexts, for rights to be looked at.
        jobs: those here.
        jobs_elsewhere: those there.
        start_soon: starts a task that lives no longer than the server.

    Attributes:
        resumable: told of a session here that is wanted by another node; how far its client has
            got by this offset, with its rights looked at again, or None where it cannot resume.
        gone: told of a session that goes on elsewhere.
    """

    def __init__(
        self,
        *,
        directory: Directory,
        places: Places | None,
        control: Control,
        membership: Membership,
        rooms: Rooms,
        hub: Hub,
        inflow: Inflow,
        log: Log,
        registry: Registry,
        dispatcher: Dispatcher,
        jobs: Jobs,
        jobs_elsewhere: JobsElsewhere,
        start_soon: StartSoon,
    ) -> None:
        self.resumable: Callable[[Session, str], Awaitable[int | None]] = _not
        self.gone: Callable[[Session], None] = _nothing
        self._directory = directory
        self._places = places
        self._control = control
        self._membership = membership
        self._rooms = rooms
        self._hub = hub
        self._inflow = inflow
        self._log = log
        self._registry = registry
        self._dispatcher = dispatcher
        self._jobs = jobs
        self._jobs_elsewhere = jobs_elsewhere
        self._start_soon = start_soon
        self._is_over = False
        control.on("session", _Wanted, self._asked)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Have sessions come and go, inside the `async with`; those that are left may go on."""
        self._is_over = False
        async with nullcontext() if self._places is None else self._places.held():
            try:
                yield
            finally:
                self._is_over = True
                if self._places is not None:
                    await self._places.part(
                        {each: self._left(each) for each in self._directory.all_resumable()}
                    )

    # To here

    async def take(
        self, make: Callable[[str, float], Session], identity: Identity, pid: str, offset: object
    ) -> Session | None:
        """Have a session of another node go on here, away until its client resumes it.

        Args:
            make: makes a session of that id, which has begun at that time.
            identity: of its client.
            pid: its private id.
            offset: how far its client has got, as that says.

        Returns:
            None where there is none, or something that its client has missed is gone.

        Raises:
            Overloaded: that cannot be told now.
        """
        if not isinstance(offset, str):
            return None
        if not self._inflow.ready:
            raise Overloaded("The other nodes are out of reach: come back soon")
        wanted = _Wanted(pid, identity.user_id, offset)
        if self._places is None:
            return await self._found(make, wanted, None)
        async with self._places.taking(pid):
            place = await self._places.find(pid, identity.user_id)
            return await self._found(make, wanted, place)

    async def _found(
        self, make: Callable[[str, float], Session], wanted: _Wanted, place: Place | None
    ) -> Session | None:
        handed, missed = await self._ask(wanted)
        if handed is not None:
            return await self._go_on(make(handed.sid, handed.began), handed, missed, place)
        if place is not None:
            return await self._revive(make(place.sid, place.began), place, wanted.offset)
        _note("no other node has it, nor is it recorded")
        return None

    async def _ask(self, wanted: _Wanted) -> tuple[_Handed | None, Missed]:
        """Have the session from its node, if it lives."""
        handed: list[_Handed] = []
        missed: list[Own] = []

        def take(answer: Raw) -> bool:
            if not handed:
                handed.append(msgspec.msgpack.decode(answer, type=_Handed))
            else:
                missed.extend(msgspec.msgpack.decode(answer, type=tuple[Own, ...]))
            return len(missed) == handed[0].missed

        await self._control.ask("session", wanted, take)
        if not handed or len(missed) != handed[0].missed:
            return None, []
        return handed[0], self._restored(missed)

    async def _go_on(
        self, session: Session, handed: _Handed, missed: Missed, place: Place | None
    ) -> Session | None:
        behind = dict.fromkeys(handed.rooms, (handed.position,))
        found = await self._enter(session, behind, missed, {} if place is None else place.rooms)
        if found is not None:
            for id_, told in handed.jobs:
                ctx = self._dispatcher.context(session, Attach(id=id_))
                self._start_soon(partial(self._jobs_elsewhere.go_on, ctx, id_, told))
        return found

    async def _revive(self, session: Session, place: Place, offset: str) -> Session | None:
        """Have a session of a node that is no more."""
        reached, missed = elsewhere(offset), []
        if not reached:
            _note("how far its client has got is not known elsewhere")
            return None
        if place.reaches is not None:
            position = position_in(place.node, offset)
            if position is None or position < place.reaches:
                _note("not all is left that it was sent alone")
                return None
            missed = self._restored(own for own in place.own if own.position > position)
        rooms = [
            room
            for room in place.rooms
            if await recheck(session, room, self._membership, self._dispatcher)
        ]
        behind = {room: (reached, place.rooms[room] or reached) for room in rooms}
        return await self._enter(session, behind, missed, place.rooms)

    async def _enter(
        self,
        session: Session,
        behind: Mapping[str, Collection[str]],
        missed: Missed,
        since: Mapping[str, str],
    ) -> Session | None:
        """Put a session into its rooms, with what it has missed.

        Args:
            behind: the rooms, each with positions up to which it is known what it has missed.
            missed: that.
            since: how far the node had got by which it came into a room: that goes on being
                recorded, since its client may never have been told of this node.

        Raises:
            Overloaded: what has been published meanwhile cannot be read now.
        """

        async def read() -> Missed | None:
            found = await self._inflow.missed(behind, session.sid, session.user_id)
            return None if found is None else [*missed, *((event, None) for event in found)]

        if not await self._membership.adopt(session, list(behind), read):
            session.end()
            _note("something that it has missed is gone")
            return None
        if self._places is not None:
            await self._places.begin(session, {room: since.get(room, "") for room in behind})
        return session

    def _restored(self, owns: Iterable[Own]) -> Missed:
        """What was sent to a session alone; without that of plugins that are not here."""
        found: Missed = []
        for own in owns:
            event = self._registry.received(own.event, own.payload)
            if event is not None:
                found.append((event, own.answers))
        return found

    # From here

    async def begin(self, session: Session) -> None:
        """A session begins here."""
        if self._places is not None and session.pid is not None:
            rooms = dict.fromkeys(self._membership.rooms(session), self._hub.elsewhere)
            await self._places.begin(session, rooms)

    def end(self, session: Session) -> None:
        """A session is over, or goes on elsewhere."""
        if self._places is not None:
            self._places.end(session)

    def _asked(self, wanted: _Wanted, reply: Reply) -> None:
        session = None if self._is_over else self._directory.resumable(wanted.pid)
        if session is None or session.user_id != wanted.user_id:
            reply.end()
            return
        try:
            self._start_soon(partial(self._hand_over, session, wanted, reply))
        except UsageError:  # the server stops: the session's record tells where to go on
            reply.end()

    async def _hand_over(self, session: Session, wanted: _Wanted, reply: Reply) -> None:
        try:
            position = await self.resumable(session, wanted.offset)
        except Overloaded:
            position = None
        if position is None or self._directory.resumable(wanted.pid) is not session:
            reply.end()
            return
        missed = [_own(entry) for entry in self._rooms.missed(session, position)]
        if sum(map(_size, missed)) > _MOST:
            reply.end()
            return
        handed = _Handed(
            session.sid,
            session.began,
            tuple(self._membership.rooms(session)),
            self._hub.elsewhere,
            len(missed),
            (*self._jobs.told(session), *self._jobs_elsewhere.told(session)),
        )
        reply.end(handed, *_answers(missed))
        if self._places is not None:
            self._places.release(session)
        self.gone(session)

    def _left(self, session: Session) -> tuple[int, tuple[Own, ...]]:
        """From where on it is known what was sent to a session alone, and that, in order."""
        own: list[Own] = []
        size = 0
        for entry in session.lane.between(session.lane.floor(session.sid), self._log.position):
            each = _own(entry)
            size += _size(each)
            if size > _PARTED:
                return entry.position, tuple(reversed(own))
            own.append(each)
        return session.lane.floor(session.sid), tuple(reversed(own))


def _own(entry: Entry) -> Own:
    event = entry.event
    payload = Raw(msgpack_encoder.encode(event))
    return Own(entry.position, event.event_name, payload, entry.answers)


def _size(own: Own) -> int:
    return memoryview(own.payload).nbytes + len(own.event)


def _answers(missed: Sequence[Own]) -> Iterator[tuple[Own, ...]]:
    """So many at a time as fit into an answer."""
    batch: list[Own] = []
    size = 0
    for own in missed:
        batch.append(own)
        size += _size(own)
        if size >= _ANSWER:
            yield tuple(batch)
            batch, size = [], 0
    if batch:
        yield tuple(batch)


def _note(why: str) -> None:
    logger.info("A session cannot go on here: %s", why)


async def _not(session: Session, offset: str) -> None:  # noqa: ARG001 - nobody is here yet
    return None


def _nothing(_: object) -> None:
    """Nobody is here yet."""
