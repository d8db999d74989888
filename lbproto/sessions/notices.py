"""Notices to clients about their connections."""

from __future__ import annotations

from lbproto.delivery.hub import Hub
from lbproto.jobs.runner import Jobs
from lbproto.limits.throttle import MALFORMED, Throttle
from lbproto.messages import EventsDropped, ServerDraining
from lbproto.sessions.session import Session
from lbproto.wire.port import Socket

__all__ = ["Notices"]


class Notices:
    """Notices sent to a client about its connection: drain, dropped events, end.

    Args:
        hub: tells them.
        jobs: end with the connections of those who wait for them.
        throttle: counts what cannot be read, too; None for no limits.
    """

    def __init__(self, hub: Hub, jobs: Jobs, throttle: Throttle | None) -> None:
        self._hub = hub
        self._jobs = jobs
        self._throttle = throttle

    def draining(self, socket: Socket, retry_after: int) -> None:
        """The server stops, and closes the connection within so many seconds."""
        session = socket.state
        # One that is still being let in, or sent what it has missed, only sees the close.
        if isinstance(session, Session) and session.push == socket.push:
            self._hub.notify(socket, ServerDraining(retry_after=retry_after))

    def closing(self, socket: Socket) -> None:
        """See `Runtime.closing`."""
        if isinstance(socket.state, Session):
            self._jobs.end_for(socket.state)

    def dropped(self, socket: Socket, count: int) -> None:
        """See `Runtime.dropped`."""
        if isinstance(socket.state, Session):
            self._hub.notify(socket, EventsDropped(count=count))

    def admits_malformed(self, socket: Socket) -> bool:
        """See `Runtime.admits_malformed`."""
        if self._throttle is None or not isinstance(socket.state, Session):
            return True
        return self._throttle.admits(socket.state, MALFORMED)
