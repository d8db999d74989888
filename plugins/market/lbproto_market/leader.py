"""Several nodes, one of which has the feeds: which one that is, and what the others ask it.

Theory of operation. Whoever holds the lease leads: its feeds run, its markets count, and what it
tells the rooms reaches the clients of all nodes. The others run no feeds and hold no charts: they
ask the leader for what a room begins with, and for what clients ask, and say again and again which
rooms their clients are in, so that the feeds of these run there.

A leader that dies is succeeded once its lease has lapsed, by one that begins as a server does that
is restarted. Questions that are under way then are asked again.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count
from secrets import token_hex
from typing import Any, Protocol

import anyio
import msgspec
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskGroup, TaskStatus
from msgspec import Raw

from lbproto import Clock, ErrorCode, Overloaded, RequestError
from lbproto.backends.base import PubSub, Storage
from lbproto_market.lease import Lease
from lbproto_market.questions import Answer, Ask, Leads, Message, Question, Wants, decode, encode

__all__ = ["Feeding", "Nodes"]

logger = logging.getLogger(__name__)

_ALL = "market"
_MAX_ASKED = 1_000
"""How many questions of other nodes a leader answers at once."""

_MAX_WANTED = 10_000
"""How many rooms of each other node."""

_REFUSALS = {error.code: error for error in RequestError.__subclasses__() if "code" in vars(error)}


class Feeding(Protocol):
    """What there is where the feeds are."""

    def need(self, room: str) -> None:
        """Clients of one more node are in a room; where there is no such room, nothing happens."""
        ...

    def release(self, room: str) -> None:
        """Those of one node are no more."""
        ...

    async def answer(self, question: Question) -> Any:
        """Answer a question.

        Raises:
            RequestError: it is refused.
        """
        ...


class Nodes:
    """The nodes of one application, for its market: give each node one of its own.

    Args:
        storage: the servers', which all nodes share; it is entered by then.
        pubsub: the way to the others; of the market's own, so with a prefix of its own, as in
            `RedisPubSub(url, prefix="lbproto:market")`. It is entered and left with the server.
        lease: seconds after which a leader that has died is succeeded, about.
        key: what the lease is called in the storage.

    Raises:
        ValueError: the lease lasts for less than a second.
    """

    def __init__(
        self,
        storage: Storage,
        pubsub: PubSub,
        *,
        lease: float = 5.0,
        key: str = "market/leader",
    ) -> None:
        if not lease >= 1:
            raise ValueError(f"a lease lasts for at least 1 second, not {lease!r}")
        self._storage = storage
        self._pubsub = pubsub
        self._lease_seconds = lease
        self._beat = lease / 4
        self._key = key
        self._ids = count()
        self._terms = count()
        self._begin()

    def _begin(self) -> None:
        self._node = token_hex(8)
        self._is_open = False
        self._feeding: Feeding | None = None
        self._leader: Leads | None = None  # another node, as far as is known
        self._rooms: dict[str, None] = {}  # that somebody is in here
        self._wanted: dict[str, tuple[frozenset[str], float]] = {}  # by node, and when it said so
        self._asked: dict[int, _Asked] = {}
        self._answering = 0

    @property
    def leads(self) -> bool:
        """Whether this node has the feeds."""
        return self._feeding is not None

    @asynccontextmanager
    async def running(
        self, clock: Clock, feed: Callable[[], AbstractAsyncContextManager[Feeding]]
    ) -> AsyncIterator[None]:
        """Be one of them while the body runs.

        Args:
            clock: for every wait.
            feed: runs the feeds while its body runs: entered whenever this node begins to lead.

        Raises:
            Exception: what keeps the feeds from running, where this is the first node.
        """
        self._begin()
        self._clock = clock
        failure: Exception | None = None
        async with self._pubsub, anyio.create_task_group() as tasks:
            self._tasks: TaskGroup = tasks
            try:
                self._is_open = True
                await self._pubsub.subscribe(_ALL)
                await self._pubsub.subscribe(_own(self._node))
                tasks.start_soon(self._hear_all)
                await tasks.start(self._campaign, feed)
                tasks.start_soon(self._keep_wanting)
                yield
            except Exception as error:  # noqa: BLE001 - raised again where no group wraps it
                failure = error
            self._is_open = False
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure

    # What clients look at

    def want(self, room: str) -> None:
        """Somebody here is in a room from now on."""
        self._rooms[room] = None
        self._say_wants()

    def release(self, room: str) -> None:
        """Nobody here is any more."""
        self._rooms.pop(room, None)
        self._say_wants()

    def _say_wants(self) -> None:
        self._take_wants(self._node, self._rooms)
        self._say(Wants(self._node, list(self._rooms)))

    async def _keep_wanting(self) -> None:
        while True:
            self._say_wants()
            now = self._clock.monotonic()
            for node, (_, said_at) in list(self._wanted.items()):
                if now - said_at > 2 * self._lease_seconds:
                    self._take_wants(node, ())
                    del self._wanted[node]
            await self._clock.sleep(self._beat)

    def _take_wants(self, node: str, rooms: Iterable[str]) -> None:
        before = self._wanted.get(node, (frozenset[str](), 0.0))[0]
        now = frozenset(rooms)
        self._wanted[node] = now, self._clock.monotonic()
        if self._feeding is not None:
            for room in now - before:
                self._feeding.need(room)
            for room in before - now:
                self._feeding.release(room)

    # Who leads

    async def _campaign(
        self,
        feed: Callable[[], AbstractAsyncContextManager[Feeding]],
        *,
        task_status: TaskStatus[None] = TASK_STATUS_IGNORED,
    ) -> None:
        """Lead whenever nobody else does; started once it is known whether this node is first."""
        lease = Lease(self._storage, self._key, self._node, self._clock, self._lease_seconds)
        begun = False
        while True:
            if await lease.take():
                try:
                    async with feed() as feeding:
                        if not begun:
                            begun = True
                            task_status.started()
                        await self._lead(feeding, lease)
                except Exception:
                    if not begun:
                        raise
                    logger.exception("the feeds of the market cannot run here")
                finally:
                    await lease.give_up()
            elif not begun:
                begun = True
                task_status.started()
            await self._clock.sleep(self._beat)

    async def _lead(self, feeding: Feeding, lease: Lease) -> None:
        """Have the feeds until the lease is lost."""
        logger.info("this node has the feeds of the market now")
        self._feeding = feeding
        leads = Leads(self._node, next(self._terms))
        try:
            for rooms, _ in self._wanted.values():
                for room in rooms:
                    feeding.need(room)
            for asked in self._asked.values():
                asked.over.set()
            while await lease.renew():
                self._say(leads)
                await self._clock.sleep(self._beat)
        finally:
            self._feeding = None
        logger.warning("this node has lost the lease of the market's feeds, and stops them")

    # Questions

    async def ask(self, question: Question, patience: float) -> Any:
        """What the leader answers; this node itself, where it is that.

        Args:
            patience: the most seconds that it takes a leader to answer.

        Raises:
            RequestError: it is refused; `Overloaded` where nobody leads for so long.
        """
        until = self._clock.monotonic() + self._lease_seconds + patience
        while self._feeding is None:
            asked = _Asked(Ask(self._node, next(self._ids), question))
            self._asked[asked.ask.id] = asked
            try:
                self._say(asked.ask)
                await self._wait(asked.over, until)
            finally:
                del self._asked[asked.ask.id]
            if asked.answer is not None:
                return _told(question, asked.answer)
            if self._clock.monotonic() >= until:
                raise Overloaded(
                    "No node has the feeds of the market now; try again",
                    retry_after=self._lease_seconds,
                )
        return await self._feeding.answer(question)

    async def _wait(self, over: anyio.Event, until: float) -> None:
        async def lose_patience() -> None:
            await self._clock.sleep(max(until - self._clock.monotonic(), 0))
            over.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lose_patience)
            await over.wait()
            tasks.cancel_scope.cancel()

    async def _answer(self, feeding: Feeding, ask: Ask) -> None:
        try:
            body = await feeding.answer(ask.question)
        except RequestError as error:
            refusal = error.code, error.message, error.retry_after
            answer = Answer(self._node, ask.id, refusal=refusal)
        except Exception:
            logger.exception("a question of another node was not answered")
            answer = _refused(self._node, ask, ErrorCode.INTERNAL, "Something failed on our side")
        else:
            answer = Answer(self._node, ask.id, Raw(encode(body)))
        finally:
            self._answering -= 1
        self._say(answer, _own(ask.node))

    # Messages

    def _say(self, message: Message, to: str = _ALL) -> None:
        if not self._is_open:  # clients are still leaving
            return
        try:
            self._pubsub.publish_nowait(to, encode(message))
        except RequestError as error:  # they ask, or are told, again
            logger.warning("other nodes are not told: %s", error)

    async def _hear_all(self) -> None:
        async for _, payload in self._pubsub.messages():
            if payload is None:
                continue  # all but questions is said again, and these have an end
            try:
                self._hear(decode(payload))
            except msgspec.MsgspecError as error:
                logger.error("a message to the market was not published by a node: %s", error)

    def _hear(self, message: Message) -> None:
        if isinstance(message, Answer):
            asked = self._asked.get(message.id)
            if asked is not None:
                asked.answer = message
                asked.over.set()
        elif isinstance(message, Wants):
            self._take_wants(message.node, message.rooms[:_MAX_WANTED])
        elif isinstance(message, Leads):
            if message != self._leader:
                self._leader = message
                for asked in self._asked.values():
                    self._say(asked.ask)
        elif self._feeding is not None:
            self._hear_question(self._feeding, message)

    def _hear_question(self, feeding: Feeding, ask: Ask) -> None:
        if self._answering < _MAX_ASKED:
            self._answering += 1
            self._tasks.start_soon(self._answer, feeding, ask)
            return
        told = "Too many ask the node that has the feeds at once; try again"
        self._say(_refused(self._node, ask, ErrorCode.OVERLOADED, told, 1), _own(ask.node))


class _Asked:
    """A question that is not answered yet; `over` is set when there is no more to wait for."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.over = anyio.Event()
        self.answer: Answer | None = None


def _own(node: str) -> str:
    return f"{_ALL}:{node}"


def _refused(
    node: str, ask: Ask, code: ErrorCode, message: str, retry_after: float | None = None
) -> Answer:
    return Answer(node, ask.id, refusal=(code, message, retry_after))


def _told(question: Question, answer: Answer) -> Any:
    if answer.refusal is not None:
        code, message, retry_after = answer.refusal
        raise _REFUSALS[ErrorCode(code)](message, retry_after=retry_after)
    return msgspec.msgpack.decode(answer.body, type=question.answer)
