"""The life cycle of sessions: opened, disconnected, resumed, ended.

Theory of operation. A session is

    open      its client has a connection: what is sent goes there;
    resuming  its client has one again, and is being sent what it has missed;
    away      its client has lost the connection: what is sent goes to the log;
    faded     away for longer than the grace: its rooms do not count it any more;
    over      left, disconnected, replaced by nothing, or away for longer than the window.

                 opened            lost           grace           window
    (nothing) ----------> open ----------> away ---------> faded ----------> over
                            ^  <----------  |                |
                  caught up |    resuming <-+---- resumed ---+
                            +-------+

and, from any state, over: when its client or the server ends it. Whoever resumes a session whose
connection still seems to be there takes it over; the former connection is ended for good.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, NamedTuple

from lbproto.auth import Identity
from lbproto.clock import Clock, iso_timestamp
from lbproto.delivery.acknowledgements import Acknowledgements
from lbproto.delivery.hub import Hub
from lbproto.delivery.log import Log, shared_position
from lbproto.dispatch import Dispatcher
from lbproto.errors import ErrorCode, InvalidRequest, Overloaded, Unauthorized
from lbproto.ids import new_id
from lbproto.jobs.lost import LostJobs
from lbproto.limits.throttle import Throttle
from lbproto.messages import Connected, Recovered, SessionLost
from lbproto.rooms.index import Rooms
from lbproto.rooms.membership import Membership
from lbproto.scheduling.timers import Timers
from lbproto.sessions.absence import Absence
from lbproto.sessions.admission import Admission, Credentials, Gate
from lbproto.sessions.directory import Directory
from lbproto.sessions.expiry import Expiry
from lbproto.sessions.handover import Handover
from lbproto.sessions.recovery import Recovery, replay, resumable
from lbproto.sessions.session import Session, personal_room
from lbproto.transport import CloseCode
from lbproto.wire.arguments import Arguments
from lbproto.wire.port import (
    CLIENT_LEFT,
    SERVER_LEFT,
    Handler,
    Inbound,
    Refused,
    Socket,
    Unavailable,
)
from lbproto.wire.settings import Settings

__all__ = ["Sessions"]

logger = logging.getLogger(__name__)

_FINAL_REASONS = (CLIENT_LEFT, SERVER_LEFT)
_MOVED_SECONDS = 2.0  # a session that has moved still counts here: nobody is told that it left


class _Entrant(NamedTuple):
    """A client that is authenticated but not yet told so.

    Attributes:
        offset: how far it has got in this node's log.
        lost: whether it has asked for a session that it cannot resume.
    """

    session: Session
    identity: Identity
    offset: str
    lost: bool = False


def _nobody_looks(session: Session, socket: Socket) -> None:
    """Default: nobody observes opened sessions."""


async def _nothing() -> None:
    """No-op: the session is gone or the request was refused."""


class Sessions(Handler):
    """The sessions of one server: what stands on its wire.

    Args:
        directory: those there are.
        gate: lets users in.
        dispatcher: serves their requests.
        membership: their rooms.
        rooms: holds what they have missed there.
        hub: delivers to them.
        log: knows how far they have got.
        acknowledgements: pending questions to them.
        throttle: what they may ask for; None for as much as they like.
        admission: the host's policy.
        recovery: how long they wait for their clients; None for not at all.
        settings: the bounds of their outboxes.
        clock: measures that.
        timers: end it.
        lost: the jobs of users that were lost with their nodes.
        handover: the sessions that come from other nodes, or go to them.

    Attributes:
        recovered, unrecovered: see `ServerStatistics`.
        opening: called with a session that has a connection now, before it is sent anything.
    """

    def __init__(
        self,
        *,
        directory: Directory,
        gate: Gate,
        dispatcher: Dispatcher,
        membership: Membership,
        rooms: Rooms,
        hub: Hub,
        log: Log,
        acknowledgements: Acknowledgements,
        throttle: Throttle | None,
        admission: Admission,
        recovery: Recovery | None,
        settings: Settings,
        clock: Clock,
        timers: Timers,
        lost: LostJobs,
        handover: Handover,
    ) -> None:
        self.directory = directory
        self._gate = gate
        self._dispatcher = dispatcher
        self._membership = membership
        self._rooms = rooms
        self._hub = hub
        self._log = log
        self._acknowledgements = acknowledgements
        self._throttle = throttle
        self._max_per_user = admission.max_sessions_per_user
        self._recovery = recovery
        self._kept = 0 if recovery is None else recovery.max_bytes_alone
        self._settings = settings
        self._clock = clock
        self._lost = lost
        self._handover = handover
        handover.arrived = self._arrived
        handover.gone = self._go
        self.recovered = self.unrecovered = 0
        self.opening: Callable[[Session, Socket], None] = _nobody_looks
        self.expiry = Expiry(gate, admission, hub, clock, timers, self._aged)
        self._away = Absence(membership, clock, timers, self.end)

    @property
    def away(self) -> int:
        """The number of sessions whose clients are disconnected."""
        return len(self._away)

    # From the wire

    async def authenticate(self, socket: Socket, auth: Arguments) -> None:
        try:
            shown = auth.first(Credentials)
            identity = await self._gate.identify(shown.token, socket.peer)
            socket.state = await self._returning(socket, identity, shown)
            if socket.state is None and shown.pid is not None:
                await self._gate.check(identity)  # it took a while: it may be banned by now
        except (Unauthorized, InvalidRequest) as error:
            code = ErrorCode.UNAUTHORIZED
            raise Refused(error.message, {"code": code, "message": error.message}) from None
        except Overloaded as error:
            raise Unavailable(error.message) from None
        if socket.state is None:
            self._make_room(identity.user_id)
            socket.state = self._newcomer(socket, identity, lost=shown.pid is not None)

    async def _returning(
        self, socket: Socket, identity: Identity, shown: Credentials
    ) -> _Entrant | None:
        """A client that comes back to its session, here or on another node, and can resume it."""
        pid, offset = shown.pid, shown.offset
        if self._recovery is None or not isinstance(pid, str):
            return None
        session = self.directory.resumable(pid)
        if session is not None and self._has_moved(session, offset):
            self._handover.let_go(session)
            session = None
        if session is None:
            make = partial(self._session, socket, identity, offset)
            own, socket.pid = socket.sid, pid
            session = await self._handover.take(make, identity, pid, offset)
            if session is not None:
                await self._admitted(session)
            if session is not None and not session.closed:
                return _Entrant(session, identity, session.start)
            socket.sid = own
        elif session.user_id == identity.user_id:
            position = await resumable(
                session, offset, self._log, self._rooms, self._membership, self._dispatcher
            )
            if position is not None:
                socket.sid, socket.pid = session.sid, session.pid
                return _Entrant(session, identity, session.offset_here(offset))
            if session in self._away:  # nobody else will come back to it
                self.end(session)
        return None

    def _has_moved(self, session: Session, offset: object) -> bool:
        """Whether its client was on another node meanwhile, which has not told this one yet."""
        here = self._log.position_of(session.offset_here(offset))
        return here is None and bool(shared_position(offset))

    def _session(
        self, socket: Socket, identity: Identity, offset: str, sid: str, began: float
    ) -> Session:
        """A session of another node."""
        socket.sid = sid
        start = self._log.offset(self._log.position)  # of this node alone: only here it is known
        session = Session(identity, socket, start, began, self._kept)
        session.came = offset
        return session

    def _arrived(self, session: Session) -> None:
        """A session of another node goes on here, once its client resumes it."""
        assert self._recovery is not None  # noqa: S101 - else none is taken
        self.directory.add(session)
        self.expiry.began(session)
        self._away.begin(session, self._recovery)
        self._lost.tell(session)

    async def _admitted(self, session: Session) -> None:
        """Check whether the user was banned while the session was moving here.

        Raises:
            Unauthorized: so it is.
        """
        try:
            await self._gate.check(session.identity)
        except Unauthorized:
            self.end(session)
            raise

    async def opened(self, socket: Socket) -> None:
        entrant = socket.state
        assert isinstance(entrant, _Entrant)  # noqa: S101 - authenticated just now
        session = socket.state = entrant.session
        self.opening(session, socket)
        if self.directory.get(session.sid) is session:
            await self._resume(socket, entrant)
        else:
            await self._begin(socket, entrant)

    def event(self, socket: Socket, inbound: Inbound) -> Coroutine[Any, Any, None]:
        session, throttle = socket.state, self._throttle
        if session is None or not (throttle is None or throttle.admits(session, inbound)):
            return _nothing()
        if throttle is not None and session.quota.owed:
            return self._event_if(throttle.admits_everywhere(session, inbound), socket, inbound)
        return self._dispatcher.dispatch(session, inbound)

    async def _event_if(
        self, admitted: Coroutine[Any, Any, bool], socket: Socket, inbound: Inbound
    ) -> None:
        if await admitted and socket.state is not None:
            await self._dispatcher.dispatch(socket.state, inbound)

    def acknowledged(self, socket: Socket, request: int, arguments: Arguments) -> None:
        self._acknowledgements.settle(socket, request, arguments)

    def closed(self, socket: Socket, reason: str) -> None:
        self._acknowledgements.abandon(socket)
        session, socket.state = socket.state, None
        if session is None:
            return  # another connection has it, or it is over
        logger.debug("session %s has lost its connection: %s", session.sid, reason)
        if self._recovery is None or reason in _FINAL_REASONS:
            self.end(session)
        else:
            session.detach()
            self._away.begin(session, self._recovery)

    # Open

    def _make_room(self, user_id: str) -> None:
        own = self.directory.of(user_id)
        elsewhere = self._membership.count_elsewhere(personal_room(user_id))
        if len(own) + elsewhere >= self._max_per_user:
            waiting = next((session for session in own if session in self._away), None)
            if waiting is None:
                raise Unavailable("this user has too many sessions: close one")
            self.end(waiting)

    def _newcomer(self, socket: Socket, identity: Identity, *, lost: bool) -> _Entrant:
        if self._recovery is not None:
            socket.pid = new_id()
        session = Session(identity, socket, self._hub.offset, self._clock.now(), self._kept)
        return _Entrant(session, identity, session.start, lost)

    async def _begin(self, socket: Socket, entrant: _Entrant) -> None:
        session = entrant.session
        self.directory.add(session)
        self.expiry.began(session)
        session.attach(socket)
        await self._membership.admit(session, session.personal_room)
        await self._handover.begin(session)
        if session.socket is socket:
            self._hub.notify(socket, self._connected(session))
            session.catch_up()  # nothing is sent to it before
            if entrant.lost:
                self.unrecovered += 1
                self._hub.notify(socket, SessionLost())
        self._lost.tell(session)
        await self._dispatcher.welcome(session)

    def _connected(self, session: Session) -> Connected:
        timestamp = iso_timestamp(int(self._clock.now() * 1000))
        return Connected(
            user_id=session.user_id, sid=session.sid, timestamp=timestamp, pid=session.pid
        )

    # Away, and back

    async def _resume(self, socket: Socket, entrant: _Entrant) -> None:
        session = entrant.session
        former = session.socket
        session.detach()
        session.attach(socket)
        if former is not None:
            former.state = None
            self._acknowledgements.abandon(former)
            former.disconnect(CloseCode.REPLACED, "the session goes on elsewhere")
        self._away.over(session)
        session.identity = entrant.identity
        self.expiry.renewed(session)
        self._membership.revive(session)
        if self._throttle is not None:
            own = session.personal_room
            rooms = [room for room in self._membership.rooms(session) if room != own]
            self._throttle.resumed(session, len(rooms))
        self._hub.notify(socket, self._connected(session), entrant.offset)
        position = self._log.position_of(entrant.offset)
        assert position is not None  # noqa: S101 - it was when the client was let in
        missed = await replay(session, socket, position, self._rooms, self._hub, self._settings)
        if missed is not None:
            session.catch_up()
            self.recovered += 1
            self._hub.notify(socket, Recovered(missed=missed))

    def _go(self, session: Session) -> None:
        """A session goes on elsewhere; it is over here once it has begun there."""
        socket = session.socket
        session.detach()
        self.directory.withdraw(session)
        self._away.go(session, _MOVED_SECONDS)
        if socket is not None:
            socket.state = None
            self._acknowledgements.abandon(socket)
            socket.disconnect(CloseCode.REPLACED, "the session goes on elsewhere")

    # Over

    def end(self, session: Session) -> None:
        """A session is over; no effect where it is already."""
        if session.closed:
            return
        socket = session.socket
        self._away.over(session)
        self.expiry.ended(session)
        session.end()
        self.directory.remove(session)
        self._handover.end(session)
        self._membership.leave_all(session)
        if socket is not None:
            socket.state = None

    def disconnect(self, session: Session, reason: str) -> None:
        """End a session for good; its client does not come back by itself."""
        socket = session.socket
        self.end(session)
        if socket is not None:
            socket.disconnect(CloseCode.POLICY_VIOLATION, reason)

    def _aged(self, session: Session) -> None:
        socket = session.socket
        self.end(session)
        if socket is not None:  # a new session may begin at once
            socket.close(CloseCode.GOING_AWAY, "the session has reached its highest age")

    def end_all(self) -> None:
        """The server stops: every session is over."""
        for session in self.directory:
            self.end(session)
