"""What a handler is given: the request it serves, who asks, and ways to answer."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

import msgspec

from lbproto.auth import Authorize, Identity
from lbproto.backends.base import Storage
from lbproto.clock import Clock
from lbproto.credits.accounts import Credits
from lbproto.credits.holds import RepeatKey
from lbproto.delivery.acknowledgements import Acknowledgements
from lbproto.delivery.forward import sids
from lbproto.delivery.hub import Hub, Receipt
from lbproto.errors import ErrorCode, InsufficientCredits, Unauthorized, UsageError, envelope
from lbproto.events import ErrorEvent, Event
from lbproto.messages import Subscribed, Unsubscribed
from lbproto.registry import Route
from lbproto.repeats.outcomes import Outcome
from lbproto.rooms.index import Placeholder
from lbproto.sessions.session import Session, personal_room
from lbproto.traces import Trace
from lbproto.wire.port import Inbound, Socket

if TYPE_CHECKING:
    from lbproto.jobs.work import Work
    from lbproto.middleware.credits import Meter
    from lbproto.rooms.membership import Membership

__all__ = ["NO_CREDITS", "Context", "Services", "Target"]

T = TypeVar("T")

NO_CREDITS = (
    "this server keeps no credits: tell it where, as by Server(..., credits=MemoryLedger()) "
    "with `from lbproto.ledger.memory import MemoryLedger`"
)


class Target:
    """A room, user or session to emit to; made by `ctx.to(room)`, `server.to(room)` and others."""

    __slots__ = ("_send",)

    def __init__(self, send: Callable[[Event], Receipt]) -> None:
        self._send = send

    def emit(self, event: Event) -> Receipt:
        """Send to all of these sessions, on every node, without waiting.

        Returns:
            What happened to it on this node.

        Raises:
            UsageError: no plugin declared the event; or the server does not run, or runs in another
                thread.
            NotFound: no plugin declared such a room.
            Overloaded: the buffer to the other nodes is full; nobody got it.
            LimitExceeded: the event is larger than nodes send each other; nobody got it.
        """
        return self._send(event)


@dataclass(frozen=True, slots=True)
class Services:
    """Services shared by all contexts of one server."""

    hub: Hub
    membership: Membership
    storage: Storage
    clock: Clock
    acknowledgements: Acknowledgements
    authorize: Authorize
    credits: Credits | None = None
    incidents: list[Callable[[Context, str], None]] = field(default_factory=list)
    """Called with each request that failed by our fault, and the id of the incident."""


class Context(msgspec.Struct, eq=False):  # one is made for every request: twice as fast as a class
    """One request on its way through middleware to its handler.

    Attributes:
        session: the session that asks.
        inbound: the event as it was received, not yet decoded.
        route: the handler and its settings; None for an event nobody declared.
        refused: the event that carries a refusal from here on; None for the general ones.
        request: the payload; None until it is decoded, behind all middleware.
        answered: whether an event has answered the request.
        delivered: whether output was sent that counts as served, not only a refusal.
        failed: the code of the failure that the client was told of; None for none.
        repeat: identifies the request among its repeats; None if it has no `requestId`.
        meter: counts what the request costs; None if it has no price.
        job: the job that the request has begun, if it is served as one.
        hold: the events held back while a room is being joined.
        trace: the span of the request; None if it is not recorded.
    """

    _services: Services
    _socket: Socket | None
    session: Session
    inbound: Inbound
    route: Route | None
    refused: type[ErrorEvent] | None = None
    request: Event | None = None
    answered: bool = False
    delivered: bool = False
    failed: ErrorCode | None = None
    repeat: RepeatKey | None = None
    meter: Meter | None = None
    job: Work | None = None
    hold: Placeholder | None = None
    trace: Trace | None = None
    _outcome: Outcome | None = None

    @classmethod
    def of(
        cls, services: Services, session: Session, inbound: Inbound, route: Route | None
    ) -> Self:
        """A context for an incoming request."""
        refused = None if route is None else route.refused
        return cls(services, session.socket, session, inbound, route, refused)

    @property
    def user_id(self) -> str:
        """The id of the user who asks."""
        return self.session.identity.user_id

    @property
    def identity(self) -> Identity:
        """Who asks, as the authenticator has it."""
        return self.session.identity

    @property
    def clock(self) -> Clock:
        """The server's clock."""
        return self._services.clock

    @property
    def reads_msgpack(self) -> bool:
        """Whether the client reads MessagePack; otherwise it reads JSON."""
        return self.session.format.is_msgpack

    @property
    def storage(self) -> Storage:
        """The server's storage; prefix keys with the plugin's name."""
        return self._services.storage

    @property
    def credits(self) -> Credits:
        """Credits of the server's users.

        Raises:
            UsageError: the server keeps no credits.
        """
        if self._services.credits is None:
            raise UsageError(NO_CREDITS)
        return self._services.credits

    # For handlers

    def emit(self, event: Event) -> Receipt:
        """Answer the client that asks; the first answer is its acknowledgement too.

        Raises:
            UsageError: no plugin declared the event.
        """
        receipt = self.tell(event)
        self.delivered = True
        return receipt

    def tell(self, event: Event) -> Receipt:
        """Like `emit`, but does not count as delivered output: for progress and notices.

        So the price is given back if the request fails afterwards.

        Raises:
            UsageError: no plugin declared the event.
        """
        hub, session, request = self._services.hub, self.session, self.inbound.id
        socket = self._socket  # as `_waiting` has it, which would be felt in every request
        if self.answered or request is None or socket is None or socket is not session.socket:
            receipt = hub.send(session, event, request)
        else:
            receipt = hub.answer(session, event, request)
        self.answered = True
        if self._outcome is not None:
            self._outcome.answer(event)
        return receipt

    def to(self, room: str, *, except_: str | Collection[str] = ()) -> Target:
        """A room to emit to.

        Args:
            except_: the id of a session that does not get it, or several.
        """
        return Target(partial(self._services.hub.publish, room, sids(except_)))

    def to_user(self, user_id: str, *, except_: str | Collection[str] = ()) -> Target:
        """All sessions of a user, to emit to, on every node."""
        return self.to(personal_room(user_id), except_=except_)

    async def join(self, room: str) -> None:
        """Have the session that asks come into a room, just as if it had sent `subscribe`.

        The room's owner is asked; the client gets `subscribed`, then the room's first message. Let
        a request that does this be `repeatable`: a repeat of it may come from another session.

        Raises:
            NotFound: nobody declared such a room.
            LimitExceeded: the session is in too many rooms.
            Overloaded: more was published while the first message was made than can be kept.
            RequestError: the room's owner refuses.
            UsageError: called by a room's join function.
        """
        if self.hold is not None:
            raise UsageError("a room's join function cannot join another: do it in a request")
        membership = self._services.membership
        async with membership.joining(self, room) as first:
            self.emit(Subscribed(room=room, subscriber_count=membership.count(room)))
            if first is not None:
                self.emit(first)

    def leave(self, room: str) -> None:
        """Take the session that asks out of a room; it gets `unsubscribed`, also if it is not in.

        Raises:
            InvalidRequest: it is the session's personal room.
        """
        self._services.membership.leave(self.session, room)
        self.emit(Unsubscribed(room=room))

    async def emit_with_ack(
        self,
        event: Event,
        into: type[T],
        *,
        timeout: float = 10.0,  # noqa: ASYNC109 - what users of Socket.IO look for
    ) -> T:
        """Send an event to the client that asks, and wait until it acknowledges it.

        Args:
            into: the type of the answer, which is the acknowledgement's first argument.
            timeout: seconds that the client has.

        Raises:
            RequestTimeout: it did not in time, or lost its connection; whether it has got the event
                is not known then.
            InvalidRequest: the answer does not fit `into`.
            UsageError: no plugin declared the event.
        """
        acknowledgements = self._services.acknowledgements
        return await acknowledgements.ask(self.session, event, into, timeout)

    async def authorize(self, application_id: str) -> None:
        """Raise unless the user may use this application.

        Raises:
            Unauthorized: the user may not.
        """
        if not await self._services.authorize(self.session.identity, application_id):
            raise Unauthorized("You may not use this application")

    async def charge(self, amount: int) -> None:
        """Charge for a part of the work, before or after it is done, but before it is delivered.

        In a handler that calls this, the request's price is what was set aside for it beforehand,
        and what it costs is the sum of what is charged. Where that is used up, more is set aside.

        Args:
            amount: credits; 0 says that the work is metered, and costs nothing yet.

        Raises:
            InsufficientCredits: so much is not available: the work ends here. What was charged
                before is paid for, if anything was delivered.
            Overloaded: the store of credits cannot be reached.
            UsageError: the request has no price, or is over, or the amount is negative.
        """
        if self.meter is None:
            raise UsageError("only a request with a price is charged: plugin.on(..., price=1)")
        await self.meter.charge(amount)

    def mark_snapshot(self) -> None:
        """Say, in a room's join function, that its first message is made of the state as of now.

        What is published to the room after this reaches the newcomer behind the first message, what
        was published before does not. Without the call, the moment is when the function returns:
        call it where you still wait for something after reading the state.
        """
        if self.hold is not None:
            self.hold.mark()

    # For what serves them: middleware, jobs

    def refuse(self, event: ErrorEvent) -> None:
        """Tell the client that its request failed, by an event and the acknowledgement."""
        if self.job is not None:
            self.job.fail(event)
        else:
            self.tell_refusal(event, event.code, event.message, event.retry_after)
        if self._outcome is not None:
            self._outcome.refuse(event)

    def refuse_for(self, error: InsufficientCredits, event: Event) -> None:
        """Like `refuse`, but the event does not carry the envelope; the acknowledgement does."""
        if self.job is not None:
            self.job.fail_for_credits(error, event)
        else:
            self.tell_refusal(event, error.code, error.message, error.retry_after_seconds)

    def tell_refusal(
        self, event: Event, code: ErrorCode, message: str, retry_after: int | None
    ) -> None:
        """Send a failure event, and acknowledge with its envelope."""
        self.failed = code
        self._services.hub.send(self.session, event, self.inbound.id)
        self._acknowledge({"ok": False, "error": envelope(code, message, retry_after)})

    def report(self, incident: str) -> None:
        """Report an internal failure to the listeners for incidents."""
        for told in self._services.incidents:
            told(self, incident)

    def record(self, outcome: Outcome) -> None:
        """Add the answers sent from now on to an outcome."""
        self._outcome = outcome

    def settle(self) -> None:
        """The request is done: acknowledge it if no event has."""
        if not self.answered and self.inbound.id is not None and self._waiting is not None:
            self._waiting.acknowledge(self.inbound.id, {"ok": True})
        self.answered = True

    def _acknowledge(self, body: dict[str, Any]) -> None:
        waiting = None if self.answered else self._waiting
        self.answered = True
        if waiting is None or self.inbound.id is None or waiting.format.answers_acknowledge:
            return
        waiting.acknowledge(self.inbound.id, body)

    @property
    def _waiting(self) -> Socket | None:
        """Where the acknowledgement is waited for; None where that connection is gone."""
        return self._socket if self._socket is self.session.socket else None
