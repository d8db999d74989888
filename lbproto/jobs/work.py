"""One running job: its events, its watchers, and the bound on how far it runs ahead of them.

Theory of operation. A job is a request that is served in a task of its own. What it tells goes to
the session that has asked, and to those of the same user that have taken it up. Each gets it like
any other event: a session that has lost its connection gets it when it resumes. The job waits with
its output while one of them has much to read still, or has been away for too much of it; and when
nobody is left who waits for it, it is cancelled.
"""

from __future__ import annotations

from contextlib import suppress

import anyio

from lbproto.clock import Clock
from lbproto.context import Context
from lbproto.errors import (
    Cancelled,
    ErrorCode,
    InsufficientCredits,
    InvalidRequest,
    Overloaded,
    RequestError,
)
from lbproto.events import ErrorEvent, Event
from lbproto.jobs.journal import Journal
from lbproto.jobs.lifecycle import Lifecycle, State
from lbproto.jobs.records import Records, restarted
from lbproto.jobs.watching import Listener, Told
from lbproto.middleware.errors import error_event, request_fields

__all__ = ["Work", "tell"]

_MAX_MISSED_BYTES = 1024 * 1024  # by a session that is away, before the job waits for it
_MAX_KEPT_BYTES = 1024 * 1024  # bytes of a job's events that are kept for whoever takes it up


class _Watcher:
    """A session that is told of the job, by the context of the request for that."""

    __slots__ = ("ctx", "missed")

    def __init__(self, ctx: Told) -> None:
        self.ctx = ctx
        self.missed = 0  # bytes told since it has lost its connection


class Work:
    """A job, as its runner has it.

    Args:
        id_: names it.
        ctx: of the request, which is one for a job; it is served as this one from here on.
        clock: measures how long it takes.
        records: where it is recorded; None for nowhere.
        earlier: jobs of the same user that were accepted before it.

    Attributes:
        policy: how it is served.
        scope: what its handler runs in.
        over: set when its task is over.
        failed: the code of the failure that it has ended by; None for none.
    """

    def __init__(
        self,
        id_: str,
        ctx: Context,
        clock: Clock,
        records: Records | None,
        earlier: list[Work],
    ) -> None:
        assert ctx.route is not None  # noqa: S101 - it is one for a job
        assert ctx.route.job is not None  # noqa: S101 - likewise
        self.id = id_
        self.ctx = ctx
        self.policy = ctx.route.job
        self.scope = anyio.CancelScope()
        self.over = anyio.Event()
        self.failed: ErrorCode | None = None
        self._earlier = earlier
        self._clock = clock
        self._records = records
        self._began = clock.monotonic()
        self._lifecycle = Lifecycle(self.policy.stages, self._make, self._make_last)
        self._journal = Journal(_MAX_KEPT_BYTES)
        self._watchers: dict[Listener, _Watcher] = {}
        self._changed = anyio.Event()
        ctx.job = self
        self._add(ctx)

    @property
    def duration_ms(self) -> int:
        """Milliseconds since it was accepted."""
        return round((self._clock.monotonic() - self._began) * 1000)

    def is_named(self, name: str) -> bool:
        """Whether it is the job of this id, or one of the group of this name."""
        group = self.policy.stages.group
        if name == self.id or group is None:
            return name == self.id
        if self.ctx.request is None:  # its task has not come that far
            assert self.ctx.route is not None  # noqa: S101 - as above
            with suppress(InvalidRequest):
                self.ctx.request = self.ctx.inbound.arguments.first(self.ctx.route.request)
        return getattr(self.ctx.request, group, None) == name

    @property
    def ended(self) -> bool:
        """Whether its end has been told."""
        return self._lifecycle.state is State.ENDED

    # Its turn, and from its handler

    def earlier_in_group(self) -> list[Work]:
        """The jobs of the same group that this one has to wait for; to be called once.

        Raises:
            Overloaded: too many wait already.
        """
        earlier, self._earlier = self._earlier, []  # else each would keep the one before
        stages = self.policy.stages
        if stages.group is None or stages.waiting is None:
            return []
        name = getattr(self.ctx.request, stages.group)
        earlier = [work for work in earlier if work.is_named(name)]
        if sum(not work.ended for work in earlier) > stages.waiting:
            raise Overloaded(
                f"{stages.waiting} others wait already: let one of them end, or cancel it",
                retry_after=1,
            )
        return earlier

    async def record(self) -> None:
        """Have its loss told, should its node die; its request is decoded."""
        if self._records is not None and not self.ended:
            ends = [*self._make_last(None), error_event(self.ctx, restarted())]
            await self._records.add(self.ctx.user_id, self.id, self.ctx.inbound.name, ends)

    def begin(self) -> None:
        """Tell that its handler is about to run."""
        self._tell(self._lifecycle.start(None))

    def start(self, event: Event) -> None:
        """See `Job.start`."""
        self._tell(self._lifecycle.start(event))

    def progress(self, event: Event) -> None:
        """See `Job.progress`."""
        self._tell(self._lifecycle.progress(event, self._clock.monotonic()))

    async def send(self, event: Event, ahead: int) -> None:
        """See `Job.send`."""
        events = self._lifecycle.output(event)
        if events:
            self.ctx.delivered = True
            self._tell(events)
        await anyio.lowlevel.checkpoint()
        await self._wait_for_watchers(ahead)

    def succeed(self, event: Event | None) -> None:
        """Its handler has returned."""
        events = self._lifecycle.succeed(event)
        self.ctx.delivered = self.ctx.delivered or bool(events)
        self._tell(events)
        self._end_told()

    # Its end

    def fail(self, event: ErrorEvent) -> None:
        """Its request has failed; no effect where its end has been told."""
        if not self.ended:
            self.failed = event.code
        self._tell(self._lifecycle.fail(event))
        self._end_told()

    def fail_for_credits(self, error: InsufficientCredits, event: Event) -> None:
        """End the job for lack of credits; before its start, only the credit event is sent."""
        if self.ended:
            return
        if self._lifecycle.state is State.ACCEPTED:
            self._lifecycle.fail(None)
            self.ctx.tell_refusal(event, error.code, error.message, error.retry_after_seconds)
            self._end_told()
        else:
            self.ctx.tell(event)
            self.fail(error_event(self.ctx, error))

    def cancel(self, error: RequestError | None = None) -> None:
        """End it, told at once, however long its handler takes to unwind.

        Args:
            error: why; by default because somebody asked for it.
        """
        if not self.ended:
            self.fail(error_event(self.ctx, error or Cancelled("The job was cancelled")))
        self.scope.cancel()
        self._changed.set()

    def close(self) -> None:
        """Its task is over: nobody is told any more."""
        self._lifecycle.fail(None)
        for session in list(self._watchers):
            self._remove(session)
        self.over.set()

    def _end_told(self) -> None:
        if self._records is not None:
            self._records.end(self.ctx.user_id, self.id, list(self._watchers))

    # Who is told

    def reaches(self, after: int) -> int:
        """After how many of its events those begin that can still be told from there on."""
        return max(self._journal.reaches, min(after, self._journal.told))

    def watch(self, ctx: Told, after: int) -> None:
        """Tell the session of this request, too; first what it was told after so many events."""
        for event in self._journal.after(after):
            ctx.tell(event)
        self._add(ctx)

    @property
    def told(self) -> int:
        """The number of events sent so far."""
        return self._journal.told

    def is_watched_by(self, session: Listener) -> bool:
        """Whether a session is told of it."""
        return session in self._watchers

    def _add(self, ctx: Told) -> None:
        session = ctx.session
        self._watchers[session] = _Watcher(ctx)
        session.watch(self._look_at_watchers)
        if session.closed:
            self._look_at_watchers()

    def _remove(self, session: Listener) -> None:
        del self._watchers[session]
        session.unwatch(self._look_at_watchers)

    def _look_at_watchers(self) -> None:
        """One of them is back, or over."""
        for session in [session for session in self._watchers if session.closed]:
            self._remove(session)
        for session, watcher in self._watchers.items():
            if session.socket is not None:
                watcher.missed = 0
        self._changed.set()
        if not self._watchers:
            self.cancel(Cancelled("Nobody waits for the job any more"))

    def _tell(self, events: list[Event]) -> None:
        for event in events:
            size = self._journal.append(event)
            for session, watcher in list(self._watchers.items()):  # one of them may end of it
                if session.socket is None:
                    watcher.missed += size
                tell(watcher.ctx, event)

    async def _wait_for_watchers(self, ahead: int) -> None:
        """Wait until all of them have read enough."""
        for session, watcher in list(self._watchers.items()):
            while watcher.missed > _MAX_MISSED_BYTES and not (session.closed or self.ended):
                self._changed = anyio.Event()
                await self._changed.wait()
            socket = session.socket
            if socket is not None and socket.statistics().queued_bytes > ahead:
                await socket.wait_drained()

    def _make_last(self, outputs: int | None) -> list[Event]:
        """What is told just before the end of it, once it has begun."""
        stages = self.policy.stages
        told = []
        if stages.closing is not None:
            told.append(stages.closing(self.ctx.request, self.id, outputs))
        if stages.before_terminal is not None:
            told.append(self._make(stages.before_terminal))
        return told

    def _make(self, stage: type[Event]) -> Event:
        known = request_fields(self.ctx)
        fields = stage.__struct_fields__
        return stage(**{name: value for name, value in known.items() if name in fields})


def tell(ctx: Told, event: Event) -> None:
    """Tell a session what a job tells."""
    if isinstance(event, ErrorEvent):
        ctx.tell_refusal(event, event.code, event.message, event.retry_after)
    else:
        ctx.tell(event)
