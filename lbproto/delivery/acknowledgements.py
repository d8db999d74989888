"""Events that a client is asked to acknowledge: each is answered or times out."""

from __future__ import annotations

from itertools import count
from typing import TypeVar

import anyio

from lbproto.clock import Clock
from lbproto.delivery.hub import Hub
from lbproto.errors import RequestTimeout
from lbproto.events import Event
from lbproto.scheduling.timers import Timers
from lbproto.sessions.session import Session
from lbproto.wire.arguments import Arguments
from lbproto.wire.port import Socket

__all__ = ["Acknowledgements"]

T = TypeVar("T")


class _Question:
    """An event that is to be acknowledged."""

    def __init__(self) -> None:
        self.settled = anyio.Event()
        self.answer: Arguments | None = None


class Acknowledgements:
    """Events that clients of this server have not acknowledged yet.

    Args:
        hub: sends the events.
        clock: measures the time they have.
        timers: end it.
    """

    def __init__(self, hub: Hub, clock: Clock, timers: Timers) -> None:
        self._hub = hub
        self._clock = clock
        self._timers = timers
        self._ids = count(1)
        self._open: dict[Socket, dict[int, _Question]] = {}

    async def ask(self, session: Session, event: Event, into: type[T], seconds: float) -> T:
        """Send an event, and wait until the client acknowledges it.

        Args:
            into: what its answer is to be: the first argument of the acknowledgement.
            seconds: the time limit.

        Raises:
            RequestTimeout: it did not in time, or has lost the connection meanwhile; whether it
                has got the event is not known then.
            InvalidRequest: the answer does not fit `into`.
            UsageError: nobody declared the event.
        """
        socket = session.socket
        if socket is None:
            raise RequestTimeout("The client has lost the connection")
        id_ = next(self._ids)
        question = _Question()
        asked = self._open.setdefault(socket, {})
        asked[id_] = question
        deadline = self._clock.monotonic() + seconds
        try:
            self._hub.ask(socket, event, id_)
            with anyio.CancelScope() as scope, self._timers.deadline(deadline, scope.cancel):
                await question.settled.wait()
        finally:
            asked.pop(id_, None)
            if not asked:
                self._open.pop(socket, None)
        if question.answer is None:
            raise RequestTimeout("The client did not acknowledge the event")
        return question.answer.first(into)

    def settle(self, socket: Socket, id_: int, answer: Arguments) -> None:
        """Deliver a client's acknowledgement to its waiter; an unexpected one is ignored."""
        question = self._open.get(socket, {}).pop(id_, None)
        if question is not None:
            question.answer = answer
            question.settled.set()

    def abandon(self, socket: Socket) -> None:
        """Fail what a client was asked to acknowledge: its connection is lost."""
        for question in self._open.pop(socket, {}).values():
            question.settled.set()
