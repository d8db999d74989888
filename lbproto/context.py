"""What a handler is given: the request it serves, who asks, and ways to answer."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from lbproto.backends.base import Storage
from lbproto.clock import Clock
from lbproto.events import ErrorEvent, Event
from lbproto.hub import Hub, Receipt
from lbproto.rooms import Hold
from lbproto.wire.port import Inbound

if TYPE_CHECKING:
    from lbproto.registry import Route
    from lbproto.session import Session

__all__ = ["Context", "Services", "Target"]


class Target:
    """A room to emit to, as `ctx.to(room)` or `server.to(room)` name it."""

    __slots__ = ("_except", "_hub", "_room")

    def __init__(self, hub: Hub, room: str, except_: Collection[str] = ()) -> None:
        self._hub = hub
        self._room = room
        self._except = except_

    def emit(self, event: Event) -> Receipt:
        """Send to everyone in the room, on every node, without waiting.

        Returns:
            What became of it on this node.

        Raises:
            UsageError: no plugin declared the event.
            Overloaded: the buffer to the other nodes is full; nobody got it.
        """
        return self._hub.publish(self._room, event, self._except)


class Services:
    """What the contexts of one server share."""

    __slots__ = ("clock", "hub", "storage")

    def __init__(self, hub: Hub, storage: Storage, clock: Clock) -> None:
        self.hub = hub
        self.storage = storage
        self.clock = clock


class Context:
    """One request on its way through middleware to its handler.

    Attributes:
        session: who asks.
        inbound: the event as it came, not yet decoded.
        route: what answers it; None for an event nobody declared.
        request: the payload; None until it is decoded, behind all middleware.
        refused: the event that carries a refusal from here on; None for the general ones.
        answered: whether an event has answered the request.
        hold: while a room is being joined, its events that are kept back.
    """

    __slots__ = (
        "_services",
        "answered",
        "hold",
        "inbound",
        "refused",
        "request",
        "route",
        "session",
    )

    def __init__(
        self, services: Services, session: Session, inbound: Inbound, route: Route | None
    ) -> None:
        self._services = services
        self.session = session
        self.inbound = inbound
        self.route = route
        self.refused: type[ErrorEvent] | None = route.refused if route is not None else None
        self.request: Event | None = None
        self.answered = False
        self.hold: Hold | None = None

    @property
    def user_id(self) -> str:
        """Whose request it is."""
        return self.session.identity.user_id

    @property
    def clock(self) -> Clock:
        """The server's clock."""
        return self._services.clock

    @property
    def storage(self) -> Storage:
        """The server's storage; prefix keys with the plugin's name."""
        return self._services.storage

    def emit(self, event: Event) -> Receipt:
        """Answer the client that asks; the first answer is its acknowledgement too.

        Raises:
            UsageError: no plugin declared the event.
        """
        receipt = self._services.hub.send(self.session, event, self.inbound.id)
        self._acknowledge({"ok": True, "event": event.event_name, "data": event})
        return receipt

    def refuse(self, event: ErrorEvent) -> None:
        """Tell the client that its request failed, by an event and in the acknowledgement."""
        self._services.hub.send(self.session, event, self.inbound.id)
        envelope = {"code": event.code, "message": event.message}
        if event.retry_after is not None:
            envelope["retryAfter"] = event.retry_after  # type: ignore[assignment]
        self._acknowledge({"ok": False, "error": envelope})

    def settle(self) -> None:
        """The request is done: acknowledge it if no event has."""
        if not self.answered and self.inbound.id is not None and not self.session.closed:
            self.session.socket.acknowledge(self.inbound.id, {"ok": True})
        self.answered = True

    def to(self, room: str, *, except_: Collection[str] = ()) -> Target:
        """A room to emit to.

        Args:
            except_: ids of sessions that do not get it.
        """
        return Target(self._services.hub, room, except_)

    def mark_snapshot(self) -> None:
        """Say, in a room's join function, that its first message is made of the state as of now.

        What is published to the room after this reaches the newcomer behind the first message, what
        was published before does not. Without the call, the moment is when the function returns:
        call it where you still wait for something after reading the state.
        """
        if self.hold is not None:
            self.hold.mark()

    def _acknowledge(self, body: dict[str, Any]) -> None:
        if self.answered or self.session.closed:
            return
        self.answered = True
        if self.inbound.id is not None and not self.session.format.answers_acknowledge:
            self.session.socket.acknowledge(self.inbound.id, body)
