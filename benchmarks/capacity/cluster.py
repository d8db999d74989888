"""Several nodes and their clients in virtual time, all well: what they say is counted.

The servers are as they are; the loop, the network, the broker and the storage are the simulator's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec

from benchmarks.capacity.ports import CountingPubSub, CountingStorage, Tally
from lbproto.context import Context
from lbproto.events import Event
from lbproto.frame import Message
from lbproto.messages import Subscribe
from lbproto.plugin import Plugin
from lbproto.server import Server
from lbproto.simulator.chance import bits_from, stream
from lbproto.simulator.clock import NodeClock
from lbproto.simulator.logged import LoggingBroker
from lbproto.simulator.loop import Process, VirtualLoop, current_process, run_virtually
from lbproto.simulator.stores import Reach, Shared
from lbproto.simulator.wire import SimulatedWire
from lbproto.testing import AnyToken, Wire
from lbproto.testing.codecs import CODECS, PONG

__all__ = ["ANNOUNCING", "SILENT", "Cluster", "Flood", "Guest", "simulated"]

T = TypeVar("T")

SEED = 7
_WIRE: Wire = "socketio-json"
_PATIENCE = 30.0  # virtual seconds in which all is answered
_LOOKS = 0.01
_MAX_KEPT = 1_000_000  # messages: more than there are
SILENT, ANNOUNCING = "hall", "club"
"""What names of rooms begin with: whose members are not told of each other, and are."""


class Flood(Event):
    """Asks to publish so many events to a room, in one turn of the event loop."""

    room: str
    count: int = 1


class Drop(Event):
    """What is published."""

    number: int


class Done(Event):
    """They were."""


def _halls() -> Plugin:
    plugin = Plugin("halls")
    plugin.emits(Drop)

    @plugin.room(f"{SILENT}:{{name}}", announce=False)
    async def enter(ctx: Context, name: str) -> None:
        """Everybody may."""

    @plugin.room(f"{ANNOUNCING}:{{name}}", announce=True)
    async def join(ctx: Context, name: str) -> None:
        """Everybody may, and is announced."""

    @plugin.on(Flood)
    async def flood(ctx: Context, request: Flood) -> Done:
        for number in range(request.count):
            ctx.to(request.room).emit(Drop(number))
        return Done()

    return plugin


class Member:
    """One node of a cluster.

    Attributes:
        process: that it runs in.
        server: it.
        is_up: whether it takes connections.
        is_over: whether it does nothing more.
    """

    def __init__(self, cluster: Cluster, number: int) -> None:
        name = f"node{number}"
        self.process = Process(cluster.loop, name)
        self.is_up = self.is_over = False
        self._stop = asyncio.Event()
        self._reach = Reach(SEED, name)
        self._pubsub = CountingPubSub(cluster.broker, name, self.process, cluster.tally)
        self.server = Server(
            [_halls()],
            auth=AnyToken(),
            storage=CountingStorage(cluster.shared, self._reach, cluster.tally),
            pubsub=self._pubsub,
            clock=NodeClock(cluster.loop),
        )
        self._task = self.process.start(self._run())

    async def _run(self) -> None:
        try:
            async with self.server.lifespan():
                self.is_up = True
                await self._stop.wait()
                self.is_up = False
        except Exception:
            if not self.process.is_dead:  # else that is how it unwinds
                raise
        finally:
            self.is_over = True

    def stop(self) -> None:
        """Stop in order."""
        self.process.call(self._stop.set)

    def kill(self) -> None:
        """End it: it does nothing more, and is heard no more."""
        self.is_up, self.is_over = False, True
        self.process.kill()
        self._reach.is_severed = True
        self._pubsub.kill()


class Guest:
    """One client: it asks, comes back, and counts what it is told.

    Args:
        cluster: where it is.
        user: who it is.

    Attributes:
        member: the node that it is connected to.
        is_recovered: whether its session went on by the last connection.
    """

    def __init__(self, cluster: Cluster, user: str) -> None:
        self.member: Member
        self.is_recovered = False
        self._cluster = cluster
        self._user = user
        self._codec = CODECS[_WIRE]()
        self._shown: dict[str, Any] = {"token": user}
        self._connections = 0
        self._asked = 0
        self._answered = 0
        self._is_in = False

    async def come(self, member: Member) -> None:
        """Connect to a node, with whatever session there was; returns once that goes on."""
        self.member, self._is_in = member, False
        self._connections += 1
        loop, name = self._cluster.loop, f"{self._user}{self._connections}"
        self._wire = wire = SimulatedWire(
            loop,
            stream(SEED, name),
            member.process,
            direct=True,
            receive=self._receive,
            closed=_nothing,
        )
        loop.call_later(wire.delay(), member.process.call, wire.open, member.server, _WIRE)
        await self._cluster.until(lambda: self._is_in)

    def lose(self) -> None:
        """Lose the connection; its node notices at once."""
        self._wire.drop(0.0)

    async def ask(self, event: Event, request_id: str | None = None) -> None:
        """Ask for something; returns once it is answered."""
        self._asked += 1
        data = msgspec.to_builtins(event)
        if request_id is not None:
            data["requestId"] = request_id
        self._wire.say(*self._codec.event(event.event_name, data, self._asked))
        await self._cluster.until(lambda: self._answered == self._asked)

    def leave(self) -> None:
        """Go for good."""
        self._wire.say(*self._codec.disconnect())
        self._wire.leave()

    def _receive(self, message: Message) -> None:
        heard = self._codec.receive(message)
        if heard is None:
            return
        if heard.kind == "open":
            self._wire.say(*self._codec.connect(self._shown))
        elif heard.kind == "ping":
            self._wire.say(PONG)
        elif heard.kind == "connect":
            pid = heard.data["pid"]
            self.is_recovered = self._shown.get("pid") == pid
            self._shown["pid"] = pid
        elif heard.kind == "ack":
            self._answered += 1
        elif heard.kind == "event":
            if heard.offset is not None:
                self._shown["offset"] = heard.offset
            self._is_in = self._is_in or heard.event == "connected"
            self._cluster.tally["delivered"] += heard.event == Drop.event_name


class Cluster:
    """Nodes that are all well.

    Args:
        loop: whose time it has.

    Attributes:
        tally: what all of them have done so far.
        members: the nodes.
    """

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        self.tally = Tally()
        self.broker = LoggingBroker(loop, SEED, _MAX_KEPT)
        self.shared = Shared(NodeClock(loop))
        self.members: list[Member] = []

    async def start(self, nodes: int) -> None:
        """Start so many more, one after the other."""
        for _ in range(nodes):
            member = Member(self, len(self.members))
            self.members.append(member)
            await self.until(lambda: member.is_up)  # noqa: B023 - awaited in the loop
            await asyncio.sleep(1.0)  # until all know each other

    async def guests(self, many: int, rooms: Sequence[str]) -> list[Guest]:
        """Have clients connect, each to the next node, and be in rooms."""
        found = []
        for number in range(many):
            guest = Guest(self, f"user{number}")
            await guest.come(self.members[number % len(self.members)])
            for room in rooms:
                await guest.ask(Subscribe(room))
            found.append(guest)
        return found

    async def counted(self, work: Awaitable[object], rest: float = 2.0) -> Tally:
        """What is done by some work, and within so many virtual seconds behind it."""
        before = self.tally.copy()
        await work
        await asyncio.sleep(rest)
        return self.tally - before

    async def until(self, holds: Callable[[], bool]) -> None:
        """Let time pass until something holds.

        Raises:
            TimeoutError: it does not.
        """
        async with asyncio.timeout(_PATIENCE):
            while not holds():  # noqa: ASYNC110 - virtual time
                await asyncio.sleep(_LOOKS)


class _Errors(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        process = current_process()
        if process is None or not process.is_dead:
            self.told.append(record.getMessage())


@contextmanager
def _no_errors() -> Iterator[None]:
    errors, logger = _Errors(), logging.getLogger("lbproto")
    logger.addHandler(errors)
    try:
        yield
    finally:
        logger.removeHandler(errors)
    if errors.told:
        raise AssertionError(f"the nodes were not well: {errors.told}")


def simulated(main: Callable[[Cluster], Awaitable[T]]) -> T:
    """Run a cluster from its beginning to its end.

    Raises:
        AssertionError: a node has logged a warning.
    """

    async def run(loop: VirtualLoop) -> T:
        cluster = Cluster(loop)
        try:
            return await main(cluster)
        finally:
            for member in cluster.members:
                member.stop()
            await cluster.until(lambda: all(member.is_over for member in cluster.members))
            for member in cluster.members:
                member.process.bury()

    with _no_errors(), bits_from(SEED):
        return run_virtually(run)


def _nothing(code: int, reason: str) -> None:
    """That a connection is over is known to whoever has ended it."""
