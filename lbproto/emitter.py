"""Events to the clients of all servers, from a process that is none of them."""

from __future__ import annotations

from collections.abc import Collection
from types import TracebackType
from typing import Self

from lbproto.backends.base import PubSub
from lbproto.delivery.forward import forward, sids
from lbproto.events import Event
from lbproto.sessions.session import personal_room
from lbproto.validation.mistakes import check_event

__all__ = ["Emitter", "Recipients"]


class Recipients:
    """A room to emit to, as `emitter.to(room)` names it."""

    __slots__ = ("_except", "_pubsub", "_room")

    def __init__(self, pubsub: PubSub, room: str, except_: str | Collection[str] = ()) -> None:
        self._pubsub = pubsub
        self._room = room
        self._except = sids(except_)

    def emit(self, event: Event) -> None:
        """Send to everyone in the room, on every node, without waiting.

        A node where no plugin declares the event logs that, and sends it to nobody.

        Raises:
            Overloaded: too much waits for the broker; nobody gets it.
            LimitExceeded: the event is larger than can be sent.
            UsageError: it is not an event.
        """
        check_event(event, "emit takes an event, as in emit(Order(...))")
        if self._pubsub.is_awaited(self._room, kept=True):
            self._pubsub.publish_nowait(self._room, forward(event, self._except), kept=True)


class Emitter:
    """Sends events to rooms and users from any process: a worker, a task of a queue, a script.

    An async context manager; inside, everything is synchronous. What was emitted is with the broker
    when it is left. Its methods are called in the thread of its event loop: see the how-to about
    several nodes for programs that have none.

    Args:
        pubsub: the way to the servers, as they have it; the emitter enters and leaves it.
    """

    def __init__(self, pubsub: PubSub) -> None:
        self._pubsub = pubsub

    async def __aenter__(self) -> Self:
        await self._pubsub.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._pubsub.__aexit__(kind, error, trace)

    def to(self, room: str, *, except_: str | Collection[str] = ()) -> Recipients:
        """A room to emit to.

        Args:
            except_: the id of a session that does not get it, or several.
        """
        return Recipients(self._pubsub, room, except_)

    def to_user(self, user_id: str) -> Recipients:
        """All sessions of a user, to emit to."""
        return self.to(personal_room(user_id))
