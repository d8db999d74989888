"""All jobs of one server: each in a task of its own, found by its user and its id."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial

from lbproto.clock import Clock
from lbproto.context import Context
from lbproto.errors import NotFound, Overloaded, RequestTimeout
from lbproto.ids import new_id
from lbproto.jobs.job import Job
from lbproto.jobs.records import Records
from lbproto.jobs.work import Work
from lbproto.middleware import Endpoint
from lbproto.middleware.errors import errors
from lbproto.registry import Route
from lbproto.scheduling.tasks import StartSoon
from lbproto.scheduling.timers import Timers
from lbproto.sessions.session import Session
from lbproto.validation.mistakes import check_returned

__all__ = ["Jobs", "perform"]

_NONE = "No job of yours with this id is running"


async def perform(work: Work, route: Route) -> None:
    """Have a job's handler run; its request is decoded."""
    earlier = work.earlier_in_group()
    await work.record()
    for each in earlier:
        await each.over.wait()
    if work.ended:  # it was cancelled before it began
        return
    if work.policy.makes_start:
        work.begin()
    success = await route.handler(Job(work))
    check_returned(success, route.handler)
    work.succeed(success)


class Jobs:
    """The jobs of one server.

    Args:
        clock: measures them.
        timers: end those that take too long.
        start_soon: starts a task that lives no longer than the server.
        max_per_user: how many one user may have at a time, those too that are still unwinding.
        records: where they are recorded; None for nowhere.

    Attributes:
        stops_within: seconds until the server stops: no new jobs are taken; None while it goes on.
    """

    def __init__(
        self,
        clock: Clock,
        timers: Timers,
        start_soon: StartSoon,
        max_per_user: int,
        records: Records | None = None,
    ) -> None:
        self._clock = clock
        self._timers = timers
        self._start_soon = start_soon
        self._max_per_user = max_per_user
        self._records = records
        self.stops_within: float | None = None
        self._by_user: dict[str, dict[str, Work]] = {}

    def __len__(self) -> int:
        """Jobs whose tasks are not over."""
        return sum(map(len, self._by_user.values()))

    async def launch(self, ctx: Context, serve: Endpoint) -> None:
        """Serve a request as a job: in a task of its own, so that this returns at once.

        Args:
            serve: the middleware and, innermost, what calls `perform`.
        """
        own = self._by_user.setdefault(ctx.user_id, {})
        if self.stops_within is not None or len(own) >= self._max_per_user:
            serve = self._refuse
        work = Work(new_id(), ctx, self._clock, self._records, list(own.values()))
        own[work.id] = work
        self._start_soon(partial(self._run, work, serve))

    def find(self, user_id: str, id_: str) -> Work:
        """A user's job that has not ended.

        Raises:
            NotFound: there is none of that id, or it is somebody else's.
        """
        work = self._by_user.get(user_id, {}).get(id_)
        if work is None or work.ended:
            raise NotFound(_NONE)
        return work

    def cancel(self, user_id: str, name: str) -> None:
        """Cancel a user's job of this id, or those of the group of this name.

        Raises:
            NotFound: none that has not ended is called so.
        """
        own = list(self._by_user.get(user_id, {}).values())
        found = [work for work in own if not work.ended and work.is_named(name)]
        if not found:
            raise NotFound(_NONE)
        for work in found:
            work.cancel()

    def told(self, session: Session) -> Iterator[tuple[str, int]]:
        """The jobs that a session is told of, each with how many events it has told."""
        for work in self._by_user.get(session.user_id, {}).values():
            if work.is_watched_by(session) and not work.ended:
                yield work.id, work.told

    def end_for(self, session: Session) -> None:
        """End the jobs that a session is told of: its connection is about to be closed for good."""
        for work in list(self._by_user.get(session.user_id, {}).values()):
            if work.is_watched_by(session):
                work.cancel(Overloaded("The server is being restarted: ask again", retry_after=1))

    async def _run(self, work: Work, serve: Endpoint) -> None:
        try:
            with work.scope, self._deadline(work):
                await errors(work.ctx, serve)
        finally:
            work.close()
            own = self._by_user[work.ctx.user_id]
            del own[work.id]
            if not own:
                del self._by_user[work.ctx.user_id]

    def _deadline(self, work: Work) -> AbstractContextManager[None]:
        seconds = work.policy.timeout
        if seconds is None:
            return nullcontext()
        error = RequestTimeout(f"The job has not ended within {seconds:g} s")
        when = self._clock.monotonic() + seconds
        return self._timers.deadline(when, partial(work.cancel, error))

    async def _refuse(self, ctx: Context) -> None:
        assert ctx.route is not None  # noqa: S101 - it has stages
        ctx.request = ctx.inbound.arguments.first(ctx.route.request)
        if self.stops_within is not None:
            seconds = max(1.0, self.stops_within)
            raise Overloaded("The server is being restarted: ask again", retry_after=seconds)
        raise Overloaded(
            f"You have {self._max_per_user} jobs running: wait for one of them, or cancel it",
            retry_after=1,
        )
