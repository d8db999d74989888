"""What the handler of a job is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar, cast

from lbproto.context import Context
from lbproto.events import Event

if TYPE_CHECKING:
    from lbproto.jobs.work import Work

__all__ = ["AHEAD", "Job"]

AHEAD = 256 * 1024
"""Bytes that a client may have to read still, before a job waits for it, by default."""

R = TypeVar("R", bound=Event)


class Job(Generic[R]):
    """One job, for its handler: the request, and methods to report progress and results.

    The handler returns the event that tells of its success; what it raises tells of its failure.
    When it is cancelled, or too late, its end has been told already: what it sends then is
    discarded, and it is to unwind like any cancelled task.
    """

    __slots__ = ("_work",)

    def __init__(self, work: Work) -> None:
        self._work = work

    @property
    def id(self) -> str:
        """The id of the job, for its events."""
        return self._work.id

    @property
    def request(self) -> R:
        """The request of the job."""
        return cast("R", self._work.ctx.request)

    @property
    def ctx(self) -> Context:
        """The request's context: its user, the storage, rooms to emit to."""
        return self._work.ctx

    @property
    def duration_ms(self) -> int:
        """Milliseconds since the job was accepted."""
        return self._work.duration_ms

    def start(self, event: Event) -> None:
        """Tell that the job has begun, where lbproto cannot construct that event itself.

        Raises:
            UsageError: it has begun before, or this is not the event declared for it.
        """
        self._work.start(event)

    def progress(self, event: Event) -> None:
        """Tell how far the job is; at most five times a second, so call it as often as you like.

        A `pct` is from 0 to 100; one that is less than before is told as that.

        Raises:
            UsageError: this is not the event declared for it.
        """
        self._work.progress(event)

    async def send(self, event: Event, *, ahead: int = AHEAD) -> None:
        """Send a part of the result; waits while the client is too far behind with reading.

        Args:
            ahead: bytes that may wait for it to read them. Little lets output that would be sent in
                many small parts be collected meanwhile, and sent in a larger one.

        Raises:
            UsageError: this is not the event declared for it.
        """
        await self._work.send(event, ahead)

    async def charge(self, amount: int) -> None:
        """Charge for a part of the work: see `Context.charge`.

        Raises:
            InsufficientCredits, Overloaded, UsageError: as that.
        """
        await self._work.ctx.charge(amount)
