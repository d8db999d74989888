"""Jobs that run on another node: cancelled from here, and taken up here.

Theory of operation. All nodes are asked; the one that has the job answers. What it tells then goes
to this node, an answer an event, for the one session that has taken it up. The job waits, as for
any client, while too much of that has not been read: an event is read here once the session's own
client has not too much to read still, nor has been away for too much of it.

Where an answer is lost, or the node dies, the job is asked for again, from where it was heard last.
Where it is found no more, the session is told that answers are lost, to take the job up again; and
of its end, if it was recorded, once the lease of its node is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

import anyio
import msgspec
from msgspec import Raw

from lbproto.context import Context
from lbproto.errors import ErrorCode, NotFound
from lbproto.events import Event
from lbproto.jobs.lost import LostJobs
from lbproto.jobs.runner import Jobs
from lbproto.jobs.work import Work, tell
from lbproto.messages import AnswersLost, Attach, Attached
from lbproto.nodes.calls import Following, Reply
from lbproto.nodes.control import Control
from lbproto.operations.statistics import OutboxStatistics
from lbproto.registry import Registry
from lbproto.scheduling.tasks import StartSoon
from lbproto.scheduling.wakeup import Wakeup
from lbproto.sessions.session import Session
from lbproto.wire.formats import msgpack_encoder

__all__ = ["JobsElsewhere"]

_MAX_UNREAD_BYTES = 256 * 1024  # that the client has not read, before more is asked for
_MAX_MISSED_BYTES = 1024 * 1024  # bytes that it may miss while it is away


class _Wanted(msgspec.Struct, array_like=True):
    """The question for a job on another node."""

    user_id: str
    id: str
    after: int = 0


class _Told(msgspec.Struct, array_like=True):
    """An event of it."""

    event: str
    payload: Raw


class _Followed:
    """A job that a session has taken up, and how many of its events it has been told."""

    def __init__(self, following: Following, told: int) -> None:
        self.following = following
        self.told = told


class JobsElsewhere:
    """The jobs of the other nodes, for those on this one, and the other way round.

    Args:
        jobs: those here.
        lost: those that were lost with their nodes.
        control: the other nodes.
        registry: the events that there are.
        start_soon: starts a task that lives no longer than the server.
    """

    def __init__(
        self,
        jobs: Jobs,
        lost: LostJobs,
        control: Control,
        registry: Registry,
        start_soon: StartSoon,
    ) -> None:
        self._jobs = jobs
        self._lost = lost
        self._control = control
        self._registry = registry
        self._start_soon = start_soon
        self._followed: dict[tuple[Session, str], _Followed] = {}
        control.on("cancel", _Wanted, self._cancel)
        control.on("attach", _Wanted, self._attach)

    async def cancel(self, user_id: str, id_: str) -> bool:
        """Cancel a user's job that runs on another node, or those of a group.

        Returns:
            Whether one was found, within a second.
        """
        found: list[bool] = []
        await self._control.ask("cancel", _Wanted(user_id, id_), lambda *_: found.append(True))
        return bool(found)

    async def attach(self, ctx: Context, request: Attach) -> bool:
        """Tell the session that asks of a job that runs on another node.

        Returns:
            Whether one was found, within a second.
        """
        following, after = await self._find(ctx, request.id, request.after)
        if following is None:
            return False
        ctx.emit(Attached(id=request.id, after=after))
        self._start_soon(partial(self._follow, ctx, request.id, following, after))
        return True

    def told(self, session: Session) -> Iterator[tuple[str, int]]:
        """The jobs of other nodes that a session is told of, each with how many of its events."""
        for (each, id_), followed in self._followed.items():
            if each is session:
                yield id_, followed.told

    async def go_on(self, ctx: Context, id_: str, told: int) -> None:
        """Tell a session, which has come from another node, of a job that it was told of there.

        Args:
            told: how many events of it the session has got.
        """
        with suppress(NotFound):
            work = self._jobs.find(ctx.user_id, id_)  # it has come back to the job's node
            work.watch(ctx, work.reaches(told))
            return
        following, after = await self._find(ctx, id_, told)
        await self._follow(ctx, id_, following, after)

    async def _find(self, ctx: Context, id_: str, after: int) -> tuple[Following | None, int]:
        """The job's events, and after how many of them they begin."""
        following = await self._control.follow("attach", _Wanted(ctx.user_id, id_, after))
        first = None if following is None else await following.next()
        if first is None:
            return None, 0
        return following, msgspec.msgpack.decode(first, type=int)

    async def _follow(
        self, ctx: Context, id_: str, following: Following | None, after: int
    ) -> None:
        """Tell a session of a job until that has ended, whatever is lost on the way."""
        heard, at, is_over = -1, after, False
        try:
            while following is not None:
                followed = _Followed(following, at)
                is_over = await self._relay(ctx, id_, followed)
                if is_over:
                    return
                at = followed.told
                following, begins = (None, 0) if at == heard else await self._find(ctx, id_, at)
                heard, at = at, max(at, begins)
        finally:
            if not is_over:  # out of reach; or this node stops, and leaves that to the next
                ctx.tell(AnswersLost())
        self._lost.tell(ctx.session)

    async def _relay(self, ctx: Context, id_: str, followed: _Followed) -> bool:
        """Tell a session what comes.

        Returns:
            Whether it is to be told no more, nor by this request.
        """
        session, following, missed = ctx.session, followed.following, 0
        changed = Wakeup()
        former = self._followed.get((session, id_))
        self._followed[session, id_] = followed
        if former is not None:
            former.following.close()

        def look() -> None:
            changed.set()
            if session.closed:
                following.close()

        session.watch(look)
        look()
        try:
            while (answer := await following.next()) is not None:
                followed.told += 1
                event = self._decoded(answer)
                if event is not None:
                    tell(ctx, event)
                missed += memoryview(answer).nbytes
                while missed > _MAX_MISSED_BYTES and session.socket is None and not session.closed:
                    await changed.wait()
                socket = session.socket
                if socket is not None:
                    missed = 0
                    if socket.statistics().queued_bytes > _MAX_UNREAD_BYTES:
                        await socket.wait_drained()
                following.read()
        finally:
            session.unwatch(look)
            following.close()
            is_latest = self._followed.get((session, id_)) is followed
            if is_latest:
                del self._followed[session, id_]
        return following.is_complete or session.closed or not is_latest

    def _decoded(self, answer: Raw) -> Event | None:
        told = msgspec.msgpack.decode(answer, type=_Told)
        return self._registry.received(told.event, told.payload)

    # For the others

    def _cancel(self, wanted: _Wanted, reply: Reply) -> None:
        try:
            self._jobs.cancel(wanted.user_id, wanted.id)
        except NotFound:
            reply.end()
        else:
            reply.end(True)

    def _attach(self, wanted: _Wanted, reply: Reply) -> None:
        try:
            work = self._jobs.find(wanted.user_id, wanted.id)
        except NotFound:
            reply.end()
            return
        after = work.reaches(wanted.after)
        reply.say(after)
        work.watch(_Distant(reply, work), after)


class _Distant:
    """A session on another node, with its client and its request, as a job here sees them."""

    def __init__(self, reply: Reply, work: Work) -> None:
        self.closed = False
        self._reply = reply
        self._work = work
        self._is_complete = False  # whether it was told of the end
        self._unread: list[int] = []  # sizes of what was told
        self._drained = anyio.Event()
        self._watching: list[Callable[[], None]] = []
        reply.keep(self._read)

    @property
    def session(self) -> _Distant:
        return self

    @property
    def socket(self) -> _Distant:
        return self

    def statistics(self) -> OutboxStatistics:
        return OutboxStatistics(queued_bytes=sum(self._unread))

    async def wait_drained(self) -> None:
        while self._unread and not self.closed:
            self._drained = anyio.Event()
            await self._drained.wait()

    def watch(self, changed: Callable[[], None]) -> None:
        self._watching.append(changed)

    def unwatch(self, changed: Callable[[], None]) -> None:
        """The job is over, or nobody is there any more."""
        self._watching.remove(changed)
        if self._is_complete:
            self._reply.end()
        else:
            self._reply.leave()

    def tell(self, event: Event) -> None:
        self._is_complete = self._work.ended
        payload = msgpack_encoder.encode(event)
        self._unread.append(len(payload))
        self._reply.say(_Told(event.event_name, Raw(payload)))

    def tell_refusal(
        self,
        event: Event,
        code: ErrorCode,  # noqa: ARG002 - for those who acknowledge
        message: str,  # noqa: ARG002
        retry_after: int | None,  # noqa: ARG002
    ) -> None:
        self.tell(event)

    def _read(self, many: int | None) -> None:
        if many is None:
            self.closed = True
            for changed in list(self._watching):
                changed()
        else:
            del self._unread[: max(0, many)]
        if self.closed or not self._unread:
            self._drained.set()
