"""Records of running jobs in the storage, so that users learn of jobs lost with a node.

Theory of operation. Before the first event of a job is told, a record is written that says by which
events it would end, and on which node it runs. It is removed once its end has been told, to one at
least who was there to read it. A node holds a lease, which it renews as long as it lives. So a
record whose node has no lease any more is of a job that does not end by itself: it is lost. A node
that stops in order removes the records of what has ended, and gives up its lease: what is left is
lost, too.

    lbproto/nodes/<node>                     the lease: until when, in seconds since the Unix epoch
    lbproto/jobs/<digest of user>/<job>      `Record`, in JSON

A crash between the end of a job and the removal has the end told once more, as a failure; so does a
lease that lapses while its node lives, which was suspended for longer, or out of the storage's
reach. Where the storage cannot be reached jobs run all the same, without records.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from hashlib import sha256
from math import inf
from typing import NamedTuple

import anyio
import msgspec

from lbproto.backends.base import Storage
from lbproto.clock import Clock
from lbproto.encoded import json_hook
from lbproto.errors import Overloaded
from lbproto.events import ErrorEvent, Event
from lbproto.ids import new_id
from lbproto.jobs.watching import Listener
from lbproto.messages import Error
from lbproto.registry import Registry
from lbproto.scheduling.tasks import Starter, background_tasks

__all__ = ["LostJob", "Records", "restarted"]

logger = logging.getLogger(__name__)

_LEASE_SECONDS = 15.0  # seconds until a node that has died has no lease any more
_RENEW_SECONDS = 5.0  # seconds between two renewals of the lease
_RUNNING_SECONDS = 86_400.0  # seconds that a record is kept; renewed as long as its job runs
_UNREAD_SECONDS = 300.0  # how long a record is kept whose end nobody was there to read
_CLOCK_SKEW_SECONDS = 1.0  # by which clocks may differ before a lease is looked at too early
_TOLD_SECONDS = 120.0  # seconds that the record of a lost job is kept once a session was told
_WRITE_TIMEOUT = 1.0  # seconds a job waits for its record, and a node's end for the last ones
_MAX_RECORD_BYTES = 16 * 1024  # bytes of a record

_encoder = msgspec.json.Encoder(enc_hook=json_hook)


class Record(msgspec.Struct):
    """The record of a job.

    Attributes:
        node: where it runs.
        request: the name of the event that has asked for it.
        accepted_at: seconds since the Unix epoch.
        ends: names and payloads of the events that end it, should it be lost.
        is_told: whether that has happened, and a session was told.
    """

    node: str
    request: str
    accepted_at: float
    ends: list[tuple[str, msgspec.Raw]]
    is_told: bool = False


_decoder = msgspec.json.Decoder(Record)


class LostJob(NamedTuple):
    """A job whose node has died."""

    id: str
    key: str
    record: Record


class Records:
    """The records of one node's jobs, and what the nodes that have died have left.

    Args:
        storage: where they are; a durable one.
        registry: the events that there are.
        clock: measures leases.
    """

    def __init__(self, storage: Storage, registry: Registry, clock: Clock) -> None:
        self._storage = storage
        self._registry = registry
        self._clock = clock
        self._node = ""
        self._tasks: Starter | None = None
        self._running: dict[str, tuple[bytes, float]] = {}  # by key; the record, and since when
        self._writing: set[str] = set()  # keys of those that are just being written
        self._ended: set[str] = set()  # keys of those that are to be removed
        self._is_away = False  # whether the storage was, when it was last asked

    # A node

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Be a node inside the `async with`; the storage is open."""
        self._node = new_id()
        self._running.clear()
        self._ended.clear()
        await self._renew()
        async with background_tasks() as group:
            self._tasks = Starter(group)
            group.start_soon(self._tasks.run)
            group.start_soon(self._tend)
            try:
                yield
            finally:
                with anyio.move_on_after(_WRITE_TIMEOUT, shield=True):
                    async with anyio.create_task_group() as tasks:
                        for key in list(self._ended):
                            tasks.start_soon(self._remove, key)
                    await self._try(self._storage.delete(_lease(self._node)))

    async def _tend(self) -> None:
        while True:
            await self._clock.sleep(_RENEW_SECONDS)
            await self._renew()
            for key in self._ended - self._writing:  # those that could not be removed
                if not await self._remove(key):
                    break
            now = self._clock.monotonic()
            for key, (value, since) in list(self._running.items()):
                if since < now - _RUNNING_SECONDS / 2 and key in self._running:  # still
                    self._running[key] = value, now
                    await self._write(key, value, _RUNNING_SECONDS)

    async def _renew(self) -> None:
        until = b"%.3f" % (self._clock.now() + _LEASE_SECONDS)
        await self._try(self._storage.put(_lease(self._node), until, ttl=_LEASE_SECONDS))

    async def _try(self, work: Awaitable[object]) -> bool:
        """Whether the storage has done something; that it has not is logged, the first time."""
        try:
            await work
        except Exception as error:  # noqa: BLE001 - of any storage; jobs do not end of it
            self._is_out_of_reach(error)
            return False
        self._is_away = False
        return True

    def _is_out_of_reach(self, why: object) -> None:
        if not self._is_away:
            logger.warning("Jobs are not recorded for now: %s", why)
        self._is_away = True

    @property
    def node(self) -> str:
        """Its id."""
        return self._node

    async def lives(self, node: str) -> bool:
        """Whether a node has its lease.

        Raises:
            Overloaded: the storage cannot be reached.
        """
        return node == self._node or await self._left(node) > 0

    # Its jobs

    async def add(self, user_id: str, id_: str, request: str, ends: Sequence[Event]) -> None:
        """Record a job that is about to begin; returns without that where it takes too long.

        Args:
            request: the name of the event that has asked for it.
            ends: what tells that it is lost; the last one is its failure.
        """
        payloads = [(end.event_name, msgspec.Raw(_encoder.encode(end))) for end in ends]
        record = Record(self._node, request, self._clock.now(), payloads)
        value = _encoder.encode(record)
        if len(value) > _MAX_RECORD_BYTES:  # its loss is told by a general error
            record.ends = []
            value = _encoder.encode(record)
        key = _key(user_id, id_)
        self._running[key] = value, self._clock.monotonic()
        with anyio.move_on_after(_WRITE_TIMEOUT, shield=True) as scope:
            await self._write(key, value, _RUNNING_SECONDS)
        if scope.cancelled_caught:
            self._is_out_of_reach("the storage takes too long")

    def end(self, user_id: str, id_: str, sessions: Sequence[Listener]) -> None:
        """The end of a job was told: remove its record; no effect where there is none.

        Where all who were told are away, it is left for as long as one of them may come back: if
        their node stops before, they have not been told.
        """
        key = _key(user_id, id_)
        value, _ = self._running.pop(key, (None, None))
        if value is None:
            return
        if not sessions or _is_any_here(sessions):
            self._remove_soon(key)
            return

        def look() -> None:
            if _is_any_here(sessions):
                self._remove_soon(key)
                for session in sessions:
                    session.unwatch(look)

        for session in sessions:
            session.watch(look)
        if self._tasks is not None:
            self._tasks.start_soon(partial(self._write, key, value, _UNREAD_SECONDS))

    async def _write(self, key: str, value: bytes, ttl: float) -> None:
        self._writing.add(key)
        try:
            await self._try(self._storage.put(key, value, ttl=ttl))
        finally:
            self._writing.discard(key)
            if key in self._ended:  # meanwhile
                self._remove_soon(key)

    def _remove_soon(self, key: str) -> None:
        self._ended.add(key)
        if key not in self._writing and self._tasks is not None:
            self._tasks.start_soon(partial(self._remove_ended, key))

    async def _remove_ended(self, key: str) -> None:
        await self._remove(key)

    async def _remove(self, key: str) -> bool:
        is_done = await self._try(self._storage.delete(key))
        if is_done:
            self._ended.discard(key)
        return is_done

    # Those of nodes that have died

    async def lost(self, user_id: str) -> tuple[list[LostJob], float | None]:
        """A user's jobs that were lost.

        Returns:
            These, and in how many seconds it is to be seen whether others are: where nodes that may
            have died still have a lease.

        Raises:
            Overloaded: the storage cannot be reached.
        """
        lost: list[LostJob] = []
        left = {self._node: inf}  # seconds of each node's lease
        for id_, value in (await self._storage.children(_folder(user_id))).items():
            job = _job(user_id, id_, value)
            if job is None:
                continue
            node = job.record.node
            if node not in left:
                left[node] = await self._left(node)
            if not left[node]:
                lost.append(job)
        del left[self._node]
        return lost, min(filter(None, left.values()), default=None)

    async def find(self, user_id: str, id_: str) -> LostJob | None:
        """A user's job of that id, if it was lost.

        Raises:
            Overloaded: the storage cannot be reached.
        """
        value = await self._storage.get(_key(user_id, id_))
        job = None if value is None else _job(user_id, id_, value)
        if job is None or job.record.node == self._node or await self._left(job.record.node):
            return None
        return job

    def ends(self, job: LostJob) -> tuple[list[Event], ErrorEvent]:
        """The events that end a lost job: those before the failure, and that."""
        events = [self._registry.restored(name, payload) for name, payload in job.record.ends]
        *others, failure = events or [None]
        if not isinstance(failure, ErrorEvent):  # its plugin is not what it was, or not there
            failure = Error.of(restarted(), event=job.record.request)
        return [event for event in others if event is not None], failure

    async def told(self, job: LostJob) -> None:
        """A session was told of it: others of its user are, too, but not for long."""
        if not job.record.is_told:
            job.record.is_told = True
            await self._try(
                self._storage.put(job.key, _encoder.encode(job.record), ttl=_TOLD_SECONDS)
            )

    async def _left(self, node: str) -> float:
        """For how many seconds a node has its lease still, about; 0 where it has none."""
        until = await self._storage.get(_lease(node))
        if until is None:
            return 0.0
        return min(
            _LEASE_SECONDS + _CLOCK_SKEW_SECONDS,
            max(_RENEW_SECONDS, float(until) - self._clock.now() + _CLOCK_SKEW_SECONDS),
        )


def restarted() -> Overloaded:
    """Why a job is lost."""
    return Overloaded("The server was restarted: ask again", retry_after=1)


def _is_any_here(sessions: Sequence[Listener]) -> bool:
    return any(session.socket is not None for session in sessions)


def _job(user_id: str, id_: str, value: bytes) -> LostJob | None:
    key = _key(user_id, id_)
    try:
        return LostJob(id_, key, _decoder.decode(value))
    except msgspec.DecodeError as error:
        logger.warning("The record %s cannot be read: %s", key, error)
        return None


def _lease(node: str) -> str:
    return f"lbproto/nodes/{node}"


def _folder(user_id: str) -> str:
    """Of bounded length, whatever the user's id is, and no two the same."""
    return f"lbproto/jobs/{sha256(user_id.encode(errors='surrogatepass')).hexdigest()}"


def _key(user_id: str, id_: str) -> str:
    return f"{_folder(user_id)}/{id_}"
