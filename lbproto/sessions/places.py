"""Records of sessions in the storage, so that another node can continue those of a dead one.

    lbproto/sessions/<digest of its private id>         `Place`, in MessagePack
    lbproto/sessions/<digest of its private id>/left    the same, as its node left it that stopped
    lbproto/sessions/<digest of its private id>/taken   a node takes it up just now

A room stands there before its client is told that it is in it. What has failed to be written is
written as soon as the storage can be reached again: a session of a node that dies before that is
without its latest rooms. Of those who take up a session, one does at a time; then it is that one's
record. What a node left counts for as long as the record is still that node's: so one that stops
need not know who has taken a session up meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from hashlib import sha256

import anyio
import msgspec

from lbproto.backends.base import Storage
from lbproto.clock import Clock
from lbproto.errors import Overloaded
from lbproto.nodes.handed import Own
from lbproto.scheduling.tasks import background_tasks
from lbproto.scheduling.wakeup import Wakeup
from lbproto.sessions.session import Session

__all__ = ["Place", "Places"]

logger = logging.getLogger(__name__)

_RECORD_SECONDS = 86_400.0  # that a record is kept; renewed at half of that
_RETRY_SECONDS = 1.0  # seconds until a storage that is out of reach is tried again
_MAX_WRITES = 16  # records that are written at a time
_STOP_SECONDS = 5.0  # seconds that the last records may take
_TAKEOVER_SECONDS = 10.0  # until another may take over from a node that has died meanwhile


class Place(msgspec.Struct, array_like=True):
    """A session, as its node has recorded it.

    Attributes:
        user_id: the user whose session it is.
        sid: its id.
        began: when, in seconds since the Unix epoch.
        rooms: those it is in, each with how far its node had got when it came there; "" where that
            is not known.
        node: the epoch of its node's log.
        reaches: from which position of that log on `own` is complete; None of a node that did not
            part with the session in order: what it had sent to it alone is not known.
        own: the events sent to it alone.
    """

    user_id: str
    sid: str
    began: float
    rooms: dict[str, str]
    node: str
    reaches: int | None = None
    own: tuple[Own, ...] = ()


class Places:
    """The session records of one node, and those left by dead nodes.

    Args:
        storage: keeps the records.
        clock: for how long.
        node: the epoch of this node's log.
    """

    def __init__(self, storage: Storage, clock: Clock, node: str) -> None:
        self._storage = storage
        self._clock = clock
        self._node = node
        self._rooms: dict[Session, dict[str, str]] = {}
        self._former: dict[Session, Place] = {}  # the records of others, until ours are written
        self._changed: dict[Session, None] = {}
        self._left: list[str] = []  # records of sessions that are over
        self._wake = Wakeup()

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Write what has changed, inside the `async with`."""
        async with background_tasks() as tasks:
            tasks.start_soon(self._write)
            tasks.start_soon(self._renew)
            yield

    # Of this node

    async def begin(
        self, session: Session, rooms: dict[str, str], former: Place | None = None
    ) -> None:
        """A session begins here, in these rooms; returns once it is recorded, if it can be.

        Args:
            former: its record until now, another node's.
        """
        self._rooms[session] = rooms
        if former is not None:
            self._former[session] = former
        await self._save(session)

    async def enter(self, session: Session, room: str, position: str) -> None:
        """A session is about to be in a room; returns once that is recorded, if it can be.

        Args:
            position: how far this node has got in the log.
        """
        rooms = self._rooms.get(session)
        if rooms is not None and room not in rooms:
            rooms[room] = position
            await self._save(session)

    def leave(self, session: Session, room: str) -> None:
        """A session is in a room no longer."""
        if self._rooms.get(session, {}).pop(room, None) is not None:
            self._note(session)

    def release(self, session: Session) -> None:
        """A session goes on elsewhere, with its record."""
        self._rooms.pop(session, None)
        self._former.pop(session, None)
        self._changed.pop(session, None)

    def end(self, session: Session) -> None:
        """A session is over."""
        if session in self._rooms and session.pid is not None:
            self.release(session)
            self._left.append(session.pid)
            self._wake.set()

    async def part(self, parting: dict[Session, tuple[int, tuple[Own, ...]]]) -> None:
        """The node stops: leave the sessions to others.

        Args:
            parting: `Place.reaches` and `Place.own` of each.
        """
        limiter = anyio.CapacityLimiter(_MAX_WRITES)

        async def write(session: Session, reaches: int, own: tuple[Own, ...]) -> None:
            async with limiter:
                await self._put(session, _left, reaches, own)

        with anyio.move_on_after(_STOP_SECONDS, shield=True) as scope:
            async with anyio.create_task_group() as tasks:
                for session, (reaches, own) in parting.items():
                    if session in self._rooms:
                        tasks.start_soon(write, session, reaches, own)
        if scope.cancelled_caught:
            logger.warning("Not all sessions could be left to other nodes in time")
        self._rooms.clear()
        self._former.clear()
        self._changed.clear()

    def _note(self, session: Session) -> None:
        self._changed[session] = None
        self._wake.set()

    async def _save(self, session: Session) -> None:
        if not await self._put(session, _key):
            self._note(session)
            return
        former = self._former.pop(session, None)
        if former is not None and former.reaches is not None and session.pid is not None:
            with suppress(Overloaded):  # it counts for nothing any more
                await self._storage.delete(_left(session.pid))

    async def _put(
        self,
        session: Session,
        key: Callable[[str], str],
        reaches: int | None = None,
        own: tuple[Own, ...] = (),
    ) -> bool:
        """Whether it was written, or need not be."""
        rooms = self._rooms.get(session)
        if rooms is None or session.pid is None:
            return True
        place = Place(session.user_id, session.sid, session.began, rooms, self._node, reaches, own)
        data = msgspec.msgpack.encode(place)
        try:
            await self._storage.put(key(session.pid), data, ttl=_RECORD_SECONDS)
        except Overloaded as error:
            logger.warning("A session could not go on elsewhere for now: %s", error)
            return False
        return True

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            changed, self._changed = self._changed, {}
            left, self._left = self._left, []
            done = [await self._delete(pid) for pid in left]
            self._left += [pid for pid, is_done in zip(left, done, strict=True) if not is_done]
            for session in changed:
                former = self._former.get(session)
                node = self._node if former is None else former.node
                if session.pid is not None and await self._is_own(session.pid, node):
                    await self._save(session)
            if self._changed or self._left:
                await self._clock.sleep(_RETRY_SECONDS)
                self._wake.set()

    async def _delete(self, pid: str) -> bool:
        try:
            if await self._is_own(pid, self._node):
                await self._storage.delete(_key(pid))
        except Overloaded:
            return False
        return True

    async def _is_own(self, pid: str, former: str) -> bool:
        """Whether a session still belongs to this node: another may have taken it over.

        Args:
            former: the node that had it before.
        """
        try:
            place = await self._read(_key(pid))
        except Overloaded:
            return True
        return place is None or place.node in (self._node, former)

    async def _renew(self) -> None:
        while True:
            await self._clock.sleep(_RECORD_SECONDS / 2)
            self._changed.update(dict.fromkeys(self._rooms))
            self._wake.set()

    # Of others

    async def find(self, pid: str, user_id: str) -> Place | None:
        """The record of a user's session; None where there is none.

        Raises:
            Overloaded: the storage cannot be reached.
        """
        place = await self._read(_key(pid))
        if place is None or place.user_id != user_id:
            return None
        left = await self._read(_left(pid))
        return place if left is None or left.node != place.node else left

    async def _read(self, key: str) -> Place | None:
        data = await self._storage.get(key)
        try:
            return None if data is None else msgspec.msgpack.decode(data, type=Place)
        except msgspec.DecodeError as error:  # as of another version
            logger.warning("The record of a session cannot be read: %s", error)
            return None

    @asynccontextmanager
    async def taking(self, pid: str) -> AsyncIterator[None]:
        """Keep others from taking up a session, inside the `async with`, but for too long.

        Raises:
            Overloaded: somebody else takes it up just now, or the storage cannot be reached.
        """
        claim = f"{_key(pid)}/taken"
        if not await self._storage.put_new(claim, b"", ttl=_TAKEOVER_SECONDS):
            raise Overloaded("The session is being taken up: come back soon", retry_after=1)
        try:
            yield
        finally:
            with suppress(Overloaded), anyio.move_on_after(_STOP_SECONDS, shield=True):
                await self._storage.delete(claim)


def _key(pid: str) -> str:
    return f"lbproto/sessions/{sha256(pid.encode()).hexdigest()[:40]}"


def _left(pid: str) -> str:
    return f"{_key(pid)}/left"
