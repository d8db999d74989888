"""One node among others: announces its members, tracks theirs, and answers calls.

Theory of operation. All nodes hear one channel; what is meant for one of them goes to a channel of
its own. Changes are told once per turn of the event loop, or before whatever follows from them. As
long as there is no other node nothing is kept, nor told: whoever comes asks for the whole.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from itertools import count
from time import time_ns
from typing import Any

import anyio
import msgspec
from msgspec import Raw

from lbproto.backends.base import PubSub
from lbproto.clock import Clock
from lbproto.delivery.inflow import Inflow
from lbproto.errors import RequestError
from lbproto.ids import new_id
from lbproto.nodes.calls import Asked, Following, Reply, Take, channel
from lbproto.nodes.messages import (
    Answer,
    Call,
    Enquiry,
    Farewell,
    Given,
    Message,
    Read,
    Share,
    decode,
    encode,
)
from lbproto.nodes.roster import Moved, Roster
from lbproto.nodes.teller import Teller
from lbproto.registry import RESERVED
from lbproto.scheduling.tasks import background_tasks
from lbproto.scheduling.timers import Timers
from lbproto.scheduling.wakeup import Wakeup
from lbproto.traces import Traces

__all__ = ["PATIENCE", "Control"]

logger = logging.getLogger(__name__)

PATIENCE = 1.0
"""Seconds that the others have to answer."""

_ALL = f"{RESERVED}nodes"
_BEAT_SECONDS = 5.0


class Control:
    """The other nodes, as one node deals with them.

    Args:
        pubsub: the way to them.
        inflow: hears them.
        clock: measures how long they are silent.
        timers: end what they do not answer.

    Attributes:
        shares: what there is here; asked when somebody needs the whole.
        moved: called with what has changed elsewhere.
        traces: told of calls that are answered here; None for nobody.
    """

    def __init__(self, pubsub: PubSub, inflow: Inflow, clock: Clock, timers: Timers) -> None:
        self.shares: Callable[[], Iterable[Share]] = list
        self.moved: Callable[[Moved], None] = _nothing
        self.traces: Traces | None = None
        self._pubsub = pubsub
        self._inflow = inflow
        self._clock = clock
        self._timers = timers
        self._handlers: dict[str, tuple[Any, Callable[[Any, Reply], None]]] = {}
        self._wake = Wakeup()
        self._numbers = count()
        self._begin()

    def _begin(self) -> None:
        self._node = new_id()
        self._began = self._clock.monotonic()
        self._roster = Roster(self._node, self._began)
        self._teller = Teller(self._node)
        self._changed: dict[str, tuple[int, dict[str, bool]]] = {}
        self._is_whole_wanted = False
        self._has_kept_silent = False
        self._asked: dict[int, Asked] = {}
        self._replies: dict[tuple[str, int], Reply] = {}

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Be a node inside the `async with`; what the others send is being pumped."""
        self._begin()
        own = channel(self._node)
        await self._inflow.listen(_ALL, self._hear)
        await self._inflow.listen(own, self._hear)
        async with background_tasks() as tasks:
            tasks.start_soon(self._tell_changes)
            tasks.start_soon(self._beat)
            for message in self._teller.whole(()):
                self._say(message)
            self._say(Enquiry(self._node, None))
            try:
                yield
            finally:
                self._say(Farewell(self._node))
                self._inflow.ignore(_ALL)
                self._inflow.ignore(own)

    # Who is where

    @property
    def has_met(self) -> bool:
        """Whether the other nodes have announced their members, or had the time to."""
        return self._roster.has_met or self._clock.monotonic() >= self._began + PATIENCE

    def count(self, room: str) -> int:
        """How many sessions count in a room on other nodes."""
        return self._roster.count(room)

    def users(self, room: str) -> Iterator[str]:
        """The users in a room on other nodes that announces them, each once for every node."""
        return self._roster.users(room)

    def tell(self, room: str, sessions: int, user: str | None = None, *, came: bool = True) -> None:
        """Something has changed in a room here.

        Args:
            sessions: how many count there now.
            user: one whose first session there has come, or whose last one has gone.
            came: which of these.
        """
        if not self._roster.nodes:
            self._has_kept_silent = True
            return
        if not self._changed:
            self._wake.set()
        users = self._changed.get(room, (0, {}))[1]
        if user is not None:
            users[user] = came
        self._changed[room] = sessions, users

    async def _tell_changes(self) -> None:
        while True:
            await self._wake.wait()
            self.tell_now()

    def tell_now(self) -> None:
        """Tell what has changed here, without waiting for the next turn of the event loop."""
        try:
            self._tell_changed()
        except Exception:
            logger.exception("other nodes were not told what has changed here")
            self._has_kept_silent = True

    def _tell_changed(self) -> None:
        changed, self._changed = self._changed, {}
        self._admit_silence()
        shares = (_share(room, *change) for room, change in changed.items())
        for changes in self._teller.changes(shares):
            self._say(changes)
        if self._is_whole_wanted:  # those who know all that was said do not look into it
            self._is_whole_wanted = False
            for whole in self._teller.whole(self.shares()):
                self._say(whole)

    def _admit_silence(self) -> None:
        if self._has_kept_silent:
            self._has_kept_silent = False
            self._teller.skip()

    async def _beat(self) -> None:
        while True:
            await self._clock.sleep(_BEAT_SECONDS)
            self._admit_silence()
            self._say(self._teller.beat())
            now = self._clock.monotonic()
            for gone in self._roster.obituaries(now):
                self._say(gone)
            self._have_moved(self._roster.expire(now))
            self._look_after_calls()
            self._enquire(now)

    def _enquire(self, now: float) -> None:
        for node in self._roster.behind(now):
            self._say(Enquiry(self._node, node))

    def _have_moved(self, moves: Iterable[Moved]) -> None:
        for moved in moves:
            self.moved(moved)

    def _say(self, message: Message, to: str = _ALL) -> bool:
        """Whether it is on its way; what is not is asked for again, where that matters."""
        if not self._pubsub.is_awaited(to):
            return False
        try:
            self._pubsub.publish_nowait(to, encode(message))
        except RequestError as error:
            logger.warning("%s: other nodes hear of it later", error)
            return False
        return True

    # What the others say

    def _hear(self, payload: bytes) -> None:
        message = decode(payload)
        if message.node == self._node:
            return
        now = self._clock.monotonic()
        if isinstance(message, Enquiry):
            if message.of in (None, self._node):
                self._is_whole_wanted = True
                self._wake.set()
        elif isinstance(message, Call):
            self._answer(message)
        elif isinstance(message, Answer):
            if message.id in self._asked:
                self._asked[message.id].hear(message)
        elif isinstance(message, Read):
            self._hear_read(message)
        elif isinstance(message, Given):
            if message.id in self._asked:
                self._asked[message.id].check(message)
        else:
            self._have_moved(self._roster.hear(message, now))
            if isinstance(message, Farewell):
                self._look_after_calls()
            self._enquire(now)

    # Calls

    def on(self, name: str, body: Any, answer: Callable[[Any, Reply], None]) -> None:
        """Have calls of this name answered.

        Args:
            body: the type of what they say.
            answer: given that, and by what to answer.
        """
        self._handlers[name] = body, answer

    async def ask(self, name: str, body: Any, take: Take) -> None:
        """Call all other nodes; returns when all have answered, or `PATIENCE` is over.

        Args:
            take: called with each answer, and the node that gives it; where it returns True, no
                others are waited for.
        """
        asked = self._call(name, body)
        if asked is None:
            return
        asked.take = take
        with asked:
            await self._wait(asked.done)

    async def follow(self, name: str, body: Any) -> Following | None:
        """Call all other nodes, and follow the answers of the first that has some.

        Returns:
            None where none has any, or not within `PATIENCE`.
        """
        asked = self._call(name, body)
        if asked is None:
            return None
        following = Following(asked, self._say)
        asked.take = following.take
        try:
            await self._wait(following.begun)
        finally:
            if following.node is None:
                following.close()
        return None if following.node is None else following

    def _call(self, name: str, body: Any) -> Asked | None:
        nodes = list(self._roster.nodes)
        if not nodes:
            return None
        asked = Asked(self._node, next(self._numbers), nodes, self._asked)
        trace = None if self.traces is None else self.traces.carried()
        self._say(Call(self._node, asked.id, name, Raw(encode(body)), trace))
        return asked

    async def _wait(self, event: anyio.Event) -> None:
        until = self._clock.monotonic() + PATIENCE
        with anyio.CancelScope() as scope, self._timers.deadline(until, scope.cancel):
            await event.wait()

    def _answer(self, call: Call) -> None:
        reply = Reply(self._node, call, self._say, self._replies)
        found = self._handlers.get(call.name)
        if found is None:  # as of a node that is newer
            reply.end()
        else:
            body, answer = found
            began = time_ns() if call.trace else 0
            answer(msgspec.msgpack.decode(call.body, type=body), reply)
            if call.trace and self.traces is not None:
                self.traces.answered(call.trace, call.name, began)

    def _hear_read(self, read: Read) -> None:
        reply = self._replies.get((read.node, read.id))
        if reply is None:
            if read.many == 0:
                self._say(Given(self._node, read.id, -1), channel(read.node))
        elif read.many == 0:
            reply.repeat()
        else:
            reply.read(read.many)

    def _look_after_calls(self) -> None:
        """End calls to dead nodes and calls of dead nodes."""
        nodes = self._roster.nodes
        for asked in list(self._asked.values()):
            for node in [node for node in asked.waits_for if node not in nodes]:
                asked.end(node)
            if asked.follows in asked.waits_for:
                self._say(Read(self._node, asked.id, 0), channel(asked.follows))
        for reply in list(self._replies.values()):
            if reply.to not in nodes:
                reply.read(None)


def _share(room: str, sessions: int, users: dict[str, bool]) -> Share:
    came = tuple(user for user, is_here in users.items() if is_here)
    return Share(room, sessions, came, tuple(user for user in users if not users[user]))


def _nothing(_: object) -> None:
    """No-op: default callback."""
