"""Ends sessions when their token expires or their maximum age is reached."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from lbproto.clock import Clock, iso_timestamp
from lbproto.delivery.hub import Hub
from lbproto.errors import Unauthorized
from lbproto.messages import SessionExpiring
from lbproto.scheduling.timers import Timer, Timers
from lbproto.sessions.admission import Admission, Gate
from lbproto.sessions.session import Session
from lbproto.transport import CloseCode

__all__ = ["Expiry"]

_WARNING_SECONDS = 60.0  # how long before a token's end its client is told; or half of the rest


class Expiry:
    """Keeps the deadlines of sessions.

    Args:
        gate: verifies tokens.
        admission: the host's policy.
        hub: tells clients.
        clock: measures how long.
        timers: tell when.
        end: called for a session that has reached the highest age.
    """

    def __init__(
        self,
        gate: Gate,
        admission: Admission,
        hub: Hub,
        clock: Clock,
        timers: Timers,
        end: Callable[[Session], None],
    ) -> None:
        self._gate = gate
        self._enforced = admission.expiry == "enforce"
        self._max_age = admission.max_session_age
        self._hub = hub
        self._clock = clock
        self._timers = timers
        self._end = end
        self._ages: dict[Session, Timer] = {}
        self._expiries: dict[Session, Timer] = {}

    def began(self, session: Session) -> None:
        """A session has begun, here or on another node."""
        if self._max_age is not None:
            left = session.began + self._max_age - self._clock.now()
            self._ages[session] = self._in(max(0.0, left), partial(self._end, session))
        self.renewed(session)

    async def renew(self, session: Session, token: str) -> None:
        """Let a session go on with a newer token.

        Raises:
            Unauthorized: the token is not accepted, or is another user's.
        """
        if session.socket is None:
            return
        identity = await self._gate.identify(token, session.socket.peer)
        if identity.user_id != session.user_id:
            raise Unauthorized("the token is another user's")
        session.identity = identity
        self.renewed(session)

    def renewed(self, session: Session) -> None:
        """A session's token was replaced."""
        _cancel(self._expiries, session)
        expires_at = session.identity.expires_at
        if self._enforced and expires_at is not None:
            left = expires_at - self._clock.now()
            warned = left - min(_WARNING_SECONDS, left / 2)
            self._expiries[session] = self._in(warned, partial(self._warn, session, expires_at))

    def ended(self, session: Session) -> None:
        """A session is over."""
        _cancel(self._ages, session)
        _cancel(self._expiries, session)

    def _in(self, seconds: float, act: Callable[[], None]) -> Timer:
        return self._timers.call_at(self._clock.monotonic() + seconds, act)

    def _warn(self, session: Session, expires_at: float) -> None:
        moment = iso_timestamp(int(expires_at * 1000))
        self._hub.send(session, SessionExpiring(expires_at=moment))
        left = expires_at - self._clock.now()
        self._expiries[session] = self._in(left, partial(self._expire, session))

    def _expire(self, session: Session) -> None:
        del self._expiries[session]
        if session.socket is not None:  # it may come back, with a token that is still good
            session.socket.close(CloseCode.UNAUTHORIZED, "the token has expired")


def _cancel(timers: dict[Session, Timer], session: Session) -> None:
    timer = timers.pop(session, None)
    if timer is not None:
        timer.cancel()
