"""Sessions that move between nodes: handed over, or restored after their node has died.

Theory of operation. A client comes to a node with the private id of a session that is not there.

    its node lives      it is asked for the session, and answers what the client has missed, to the
                        moment. Once the session has begun here it is told so: it answers what the
                        session was sent since, which rooms it was taken out of and what jobs it
                        is told of, and has it no more
    its node has died,  the session's record tells its rooms, the pub/sub's log what has been
    or is out of reach  published there since. What the dead node alone had, answers to this one
                        session, is gone with the requests under way there; the client is told so
    its node stopped    the same, but the record has what was sent to the session alone, too

Then the session begins here as one that is away, in its rooms; what it has missed is its own, so
that it resumes as if it had been here all along. Between what was read of the log and what comes
from now on there is neither a gap nor an overlap: the rooms' events are held back meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from functools import partial

from anyio import CancelScope
from msgspec import Raw

from lbproto.auth import Identity
from lbproto.delivery.hub import Hub
from lbproto.delivery.inflow import Inflow
from lbproto.delivery.log import Log, is_offset, position_in, shared_position
from lbproto.dispatch import Dispatcher
from lbproto.errors import Overloaded, UsageError
from lbproto.jobs.elsewhere import JobsElsewhere
from lbproto.jobs.runner import Jobs
from lbproto.messages import AnswersLost, Attach
from lbproto.nodes.calls import Reply
from lbproto.nodes.control import Control
from lbproto.nodes.handed import (
    Answers,
    Handed,
    Leavings,
    Own,
    Refusal,
    Taken,
    Wanted,
    batches,
    left,
    own,
    size,
)
from lbproto.registry import Registry
from lbproto.rooms.index import Rooms
from lbproto.rooms.membership import Membership, Missed
from lbproto.scheduling.tasks import Queue, StartSoon
from lbproto.sessions.directory import Directory
from lbproto.sessions.places import Place, Places
from lbproto.sessions.recovery import recheck, resumable
from lbproto.sessions.session import Session

__all__ = ["Handover"]

logger = logging.getLogger(__name__)

_MAX_HANDOVER_BYTES = 4 * 1024 * 1024  # bytes that are handed over
_MAX_PID_LENGTH = 64  # characters of a private id
# Of hundreds of sessions at once none would be here in time. Who waits costs nothing meanwhile, and
# who is refused comes again.
_MAX_LOOKUPS = 128
_MAX_ENTERING = 32  # that are put into their rooms
_QUEUE_SECONDS = 1.5  # seconds, for each of the two


class Handover:
    """Moves sessions from and to other nodes.

    Args:
        directory: the sessions here.
        places: the records of sessions; None where there are none.
        control: the other nodes.
        membership: puts sessions into rooms.
        rooms: holds what they have missed there.
        hub: delivers.
        inflow: knows what has come from other nodes.
        log: knows how far clients have got.
        registry: the events that there are.
        dispatcher: makes contexts, for rights to be looked at.
        jobs: those here.
        jobs_elsewhere: those there.
        start_soon: starts a task that lives no longer than the server.

    Attributes:
        arrived: told of a session that is in its rooms here by now.
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
        self.arrived: Callable[[Session], None] = _nothing
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
        self._asked_for = Queue(_MAX_LOOKUPS, _QUEUE_SECONDS)
        self._coming = Queue(_MAX_ENTERING, _QUEUE_SECONDS)
        self._handed: dict[Session, tuple[int, Collection[str]]] = {}  # its position and rooms then
        control.on("session", Wanted, self._asked)
        control.on("taken", str, self._taken)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Serve handovers inside the `async with`; on exit, sessions may continue elsewhere."""
        async with nullcontext() if self._places is None else self._places.held():
            try:
                yield
            finally:
                if self._places is not None:
                    position, sessions = self._log.position, self._directory.all_resumable()
                    await self._places.part(
                        {each: left(each.lane, each.sid, position) for each in sessions}
                    )

    # To here

    async def take(
        self, make: Callable[[str, float], Session], identity: Identity, pid: str, offset: object
    ) -> Session | None:
        """Take over another node's session; it is away until its client resumes it.

        Args:
            make: makes a session of that id, which has begun at that time.
            identity: of its client.
            pid: its private id.
            offset: how far its client has got, as the client says.

        Returns:
            None where there is none, or something that its client has missed is gone; it may be
            over by now.

        Raises:
            Overloaded: that cannot be told now.
        """
        if len(pid) > _MAX_PID_LENGTH or not is_offset(offset):
            return None
        if not self._hub.shared_position:  # without a log for all nodes
            return None  # nobody knows what it has missed
        if not self._inflow.ready:
            raise Overloaded("The other nodes are out of reach: come back soon")
        if not self._control.has_met:  # else nobody would tell it what changes there until then
            raise Overloaded("This node has just begun: come back soon", retry_after=1)
        wanted = Wanted(pid, identity.user_id, offset)
        async with (
            self._asked_for.turn(),
            nullcontext() if self._places is None else self._places.taking(pid),
        ):
            return await self._found(make, wanted)

    async def _found(self, make: Callable[[str, float], Session], wanted: Wanted) -> Session | None:
        handed, missed = await self._ask(wanted)
        if handed is Refusal.FOR_NOW:
            raise Overloaded("Its node cannot let go of the session: come back soon", retry_after=1)
        if handed is Refusal.FOR_GOOD:
            _note("its node has not kept what its client has missed")
            return None
        place = None  # looked for by now only: until it has answered its node may leave one
        if self._places is not None:
            place = await self._places.find(wanted.pid, wanted.user_id)
        if handed is not None:
            return await self._go_on(make(handed.sid, handed.began), handed, missed, place)
        if place is not None:
            return await self._revive(make(place.sid, place.began), place, wanted.offset)
        _note("no other node has it, nor is it recorded")
        return None

    async def _ask(self, wanted: Wanted) -> tuple[Handed | Refusal | None, Missed]:
        """Ask a living node to hand over the session."""
        answers = Answers()
        await self._control.ask("session", wanted, answers.take)
        handed, missed = answers.best()
        return handed, self._restored(missed)

    async def _go_on(
        self, session: Session, handed: Handed, missed: Missed, place: Place | None
    ) -> Session | None:
        rooms = [  # its node has looked at its rights; of another version, it may have others
            room
            for room in handed.rooms
            if self._registry.has_room(room) or await self._may_be_in(session, room)
        ]
        behind = dict.fromkeys(rooms, (handed.position,))
        found = await self._enter(session, behind, missed, place)
        if found is not None:
            self._start_soon(partial(self._finish, found))
        return found

    async def _finish(self, session: Session) -> None:
        """Have the former node release a session, and get what it sent there until then."""
        leavings = Leavings()

        def take(node: str, answer: Raw) -> None:
            found = leavings.take(node, answer)
            if found is not None:  # at once: who is dead does not answer, and is waited for
                self._take_over(session, *found)

        await self._control.ask("taken", session.pid, take)
        if not leavings.complete:
            self._hub.send(session, AnswersLost())  # it has died since

    def _take_over(self, session: Session, taken: Taken, late: Sequence[Own]) -> None:
        for room in taken.left:
            self._membership.leave(session, room)
        for event, request in self._restored(late):
            self._hub.send(session, event, request)
        for id_, told in taken.jobs:
            ctx = self._dispatcher.context(session, Attach(id=id_))
            self._start_soon(partial(self._jobs_elsewhere.go_on, ctx, id_, told))

    async def _revive(self, session: Session, place: Place, offset: str) -> Session | None:
        """Restore a session whose node has died."""
        reached = shared_position(offset)
        if not reached:
            _note("how far its client has got is not known elsewhere")
            return None
        if place.reaches is not None:
            position = position_in(place.node, offset)
            if position is None or position < place.reaches:
                _note("not all is left that it was sent alone")
                return None
            missed = self._restored(each for each in place.own if each.position > position)
        else:
            missed = [(AnswersLost(), None)]
        rooms = [room for room in place.rooms if await self._may_be_in(session, room)]
        behind = {room: (reached, place.rooms[room] or reached) for room in rooms}
        return await self._enter(session, behind, missed, place)

    async def _may_be_in(self, session: Session, room: str) -> bool:
        return await recheck(session, room, self._membership, self._dispatcher)

    async def _enter(
        self,
        session: Session,
        behind: Mapping[str, Collection[str]],
        missed: Missed,
        place: Place | None,
    ) -> Session | None:
        """Put a session into its rooms, with the events it has missed.

        Args:
            behind: the rooms, each with positions up to which it is known what it has missed.
            missed: that.
            place: its record until now. What that says of where it came into a room goes on being
                recorded, since its client may never have been told of this node.

        Raises:
            Overloaded: what has been published meanwhile cannot be read now, or too many come.
        """

        async def read() -> Missed | None:
            found = await self._inflow.missed(behind, session.sid, session.user_id)
            return None if found is None else [*missed, *((event, None) for event in found)]

        async with self._coming.turn():
            is_in = await self._membership.adopt(session, list(behind), read)
        if not is_in:
            session.end()
            _note("something that it has missed is gone")
            return None
        self.arrived(session)  # at once: who disconnects its user, or takes it out, has to find it
        if self._places is not None:
            since = {} if place is None else place.rooms
            rooms = {room: since.get(room, "") for room in behind}
            with CancelScope(shield=True):  # else nobody would have its former node let go of it
                await self._places.begin(session, rooms, place)
        return session

    def _restored(self, owns: Iterable[Own]) -> Missed:
        """What was sent to a session alone; without that of plugins that are not here."""
        found: Missed = []
        for each in owns:
            event = self._registry.received(each.event, each.payload)
            if event is not None:
                found.append((event, each.answers))
        return found

    # From here

    def _taken(self, pid: str, reply: Reply) -> None:
        """A session has begun elsewhere; not before, as whoever asks may have given up by then."""
        session = self._directory.resumable(pid)
        if session is None:
            reply.end()
            return
        since, rooms = self._handed.get(session, (self._log.position, ()))
        late = [own(entry) for entry in session.lane.between(since, self._log.position)]
        staying = self._membership.rooms(session)
        taken = Taken(
            tuple(room for room in rooms if room not in staying),
            (*self._jobs.told(session), *self._jobs_elsewhere.told(session)),
            len(late),
        )
        reply.end(taken, *batches(late[::-1]))
        self.let_go(session)

    def let_go(self, session: Session) -> None:
        """Release a session that continues on another node."""
        if self._places is not None:
            self._places.release(session)
        self.gone(session)

    async def begin(self, session: Session) -> None:
        """A session begins here."""
        if self._places is not None and session.pid is not None:
            rooms = dict.fromkeys(self._membership.rooms(session), self._hub.shared_position)
            await self._places.begin(session, rooms)

    def end(self, session: Session) -> None:
        """A session is over, or goes on elsewhere."""
        self._handed.pop(session, None)
        if self._places is not None:
            self._places.end(session)

    def _asked(self, wanted: Wanted, reply: Reply) -> None:
        session = self._directory.resumable(wanted.pid)
        if session is None or session.user_id != wanted.user_id:
            reply.end()
            return
        try:
            self._start_soon(partial(self._hand_over, session, wanted, reply))
        except UsageError:  # the server stops: what it leaves tells where to go on
            leaves = () if self._places is None else (Refusal.FOR_NOW,)
            reply.end(*leaves)

    async def _hand_over(self, session: Session, wanted: Wanted, reply: Reply) -> None:
        if self._log.position_of(session.offset_here(wanted.offset)) is None:
            reply.end()  # its client has been elsewhere since, where it is to be had
            return
        try:
            position = await resumable(
                session, wanted.offset, self._log, self._rooms, self._membership, self._dispatcher
            )
        except Overloaded:
            reply.end(Refusal.FOR_NOW)
            return
        if self._directory.resumable(wanted.pid) is not session:
            reply.end()
            return
        missed: list[Own] | None = None
        if position is not None:
            missed = [own(entry) for entry in self._rooms.missed(session, position)]
        if missed is None or sum(map(size, missed)) > _MAX_HANDOVER_BYTES:
            reply.end(Refusal.FOR_GOOD)
            return
        handed = Handed(
            session.sid,
            session.began,
            tuple(self._membership.rooms(session)),
            self._hub.shared_position,
            len(missed),
        )
        self._handed[session] = self._log.position, handed.rooms
        reply.end(handed, *batches(missed))


def _note(why: str) -> None:
    logger.info("A session cannot go on here: %s", why)


def _nothing(_: object) -> None:
    """Nobody is here yet."""
