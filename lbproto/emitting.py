"""What a host sends from its own code, outside of requests."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from threading import get_ident
from typing import TypeVar

from lbproto.connection.runtime import Runtime
from lbproto.context import Target
from lbproto.delivery.acknowledgements import Acknowledgements
from lbproto.delivery.forward import sids
from lbproto.delivery.hub import Hub, Receipt
from lbproto.errors import UsageError
from lbproto.events import Event
from lbproto.sessions.session import Session, personal_room

__all__ = ["Emitting"]

T = TypeVar("T")

_ANOTHER_THREAD = (
    "this lbproto server runs in another thread: emit in that of its event loop, as by "
    "anyio.from_thread.run_sync(target.emit, event) in a route that is not async, or by "
    "loop.call_soon_threadsafe(target.emit, event)"
)


class Emitting:
    """A server's part that sends events.

    It sends while the server runs, and in its thread, since nothing in it is safe from others: a
    program that emits elsewhere would lose events, and not know.
    """

    def __init__(self, runtime: Runtime, hub: Hub, acknowledgements: Acknowledgements) -> None:
        self.runtime = runtime
        self._thread: int | None = None  # that the server runs in; none while it does not
        self._hub = hub
        self._acknowledgements = acknowledgements

    def to(self, room: str, *, except_: str | Collection[str] = ()) -> Target:
        """A room to emit to, from anywhere in the host's program, while the server runs.

        Args:
            except_: the id of a session that does not get it, or several.
        """
        return Target(partial(self._publish, room, sids(except_)))

    def to_user(self, user_id: str, *, except_: str | Collection[str] = ()) -> Target:
        """All sessions of a user, to emit to, on every node."""
        return self.to(personal_room(user_id), except_=except_)

    def to_session(self, session: Session) -> Target:
        """One session of this node, such as the `ctx.session` of an earlier request, to emit to."""
        return Target(partial(self._send, session))

    async def emit_with_ack(
        self,
        session: Session,
        event: Event,
        into: type[T],
        *,
        timeout: float = 10.0,  # noqa: ASYNC109 - what users of Socket.IO look for
    ) -> T:
        """Send an event to one session, and wait until its client acknowledges it.

        Arguments and errors are those of `Context.emit_with_ack`, and

        Raises:
            UsageError: the server does not run, or runs in another thread.
        """
        self._check_here()
        return await self._acknowledgements.ask(session, event, into, timeout)

    def _publish(self, room: str, except_: Collection[str], event: Event) -> Receipt:
        self._check_here()
        return self._hub.publish(room, except_, event)

    def _send(self, session: Session, event: Event) -> Receipt:
        self._check_here()
        return self._hub.send(session, event)

    def _check_here(self) -> None:
        if get_ident() != self._thread:
            self.runtime.check_running()
            raise UsageError(_ANOTHER_THREAD)
