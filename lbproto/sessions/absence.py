"""Sessions whose clients are away: for how long they count, and how long they wait."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from lbproto.clock import Clock
from lbproto.rooms.membership import Membership
from lbproto.scheduling.timers import Timer, Timers
from lbproto.sessions.recovery import Recovery
from lbproto.sessions.session import Session

__all__ = ["Absence"]


class Absence:
    """This node's sessions whose clients are disconnected.

    Args:
        membership: counts them in their rooms, or does not.
        clock: measures how long.
        timers: tell when.
        end: called for one that has waited long enough.
    """

    def __init__(
        self,
        membership: Membership,
        clock: Clock,
        timers: Timers,
        end: Callable[[Session], None],
    ) -> None:
        self._membership = membership
        self._clock = clock
        self._timers = timers
        self._end = end
        self._waiting: dict[Session, Timer] = {}  # in the order they were lost

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, session: Session) -> bool:
        return session in self._waiting

    def begin(self, session: Session, recovery: Recovery) -> None:
        """A session's client has disconnected; beyond the bound, the one away longest is ended."""
        if len(self._waiting) >= recovery.max_away:
            self._end(next(iter(self._waiting)))
        self._wait(session, recovery.grace, partial(self._fade, session, recovery))

    def go(self, session: Session, seconds: float) -> None:
        """A session continues on another node: end it here after a short delay."""
        self.over(session)
        self._wait(session, seconds, partial(self._end, session))

    def over(self, session: Session) -> None:
        """A client is back, or its session is over; no effect if it was not away."""
        timer = self._waiting.pop(session, None)
        if timer is not None:
            timer.cancel()

    def _fade(self, session: Session, recovery: Recovery) -> None:
        self._membership.fade(session)
        left = recovery.window - recovery.grace
        self._wait(session, left, partial(self._end, session))

    def _wait(self, session: Session, seconds: float, then: Callable[[], None]) -> None:
        self._waiting[session] = self._timers.call_at(self._clock.monotonic() + seconds, then)
