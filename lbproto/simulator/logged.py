"""A pub/sub with a log, in virtual time: the port itself, as a broker with a log may implement it.

Theory of operation. What a node publishes reaches the broker later, in order. What is to be kept
gets a number there, and goes into the log. The broker sends each node what it has subscribed to, in
order, each with the log's number by then; that is how far the node has got once it has arrived. A
node that is cut off is sent nothing; once that ends it is sent what it has missed of the log, and
is told of what the log does not have any more. What is not to be kept is lost for it.

A broker that forgets has another log then. What was in the former one is lost for whoever has not
got it, who is told so; and no position in that says what of this one has been missed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from secrets import token_urlsafe
from typing import NamedTuple, Self

from lbproto.backends.base import PubSub
from lbproto.errors import Overloaded, UsageError
from lbproto.simulator.broker import behind as not_before
from lbproto.simulator.broker import latency
from lbproto.simulator.chance import stream
from lbproto.simulator.loop import Process, VirtualLoop

__all__ = ["LoggedPubSub", "LoggingBroker"]

_PATIENCE = 1.0  # seconds that a node waits for what is out of reach, or on its way
_LOOKS = 0.05  # seconds between two looks at it


class _Kept(NamedTuple):
    """A message in the log: its number, and who published it as which of its own."""

    number: int
    node: str
    own: int
    channel: str
    payload: bytes


class _Position(NamedTuple):
    """How far a node has got: in its own messages, and in the log's numbers."""

    node: str
    own: int
    number: int

    @classmethod
    def read(cls, text: str) -> _Position:
        """What it says; raises `ValueError` where it says nothing."""
        node, own, number = text.rsplit(":", 2)
        return cls(node, int(own), int(number))

    def includes(self, kept: _Kept) -> bool:
        """Whether a message belongs to it."""
        return kept.own <= self.own if kept.node == self.node else kept.number <= self.number


class LoggingBroker:
    """What the nodes' pub/subs connect to, with a log.

    Args:
        loop: of the world.
        seed: decides how late it is.
        max_kept: how many messages the log has at most.

    Attributes:
        log: what was kept, oldest first.
        number: of the newest.
        began: the number that the log began with.
        taken: how many of its own each node has got into the log.
    """

    def __init__(self, loop: VirtualLoop, seed: int, max_kept: int) -> None:
        self.loop = loop
        self.seed = seed
        self.log: deque[_Kept] = deque(maxlen=max_kept)
        self.number = self.began = 0
        self.taken: dict[str, int] = {}
        self._nodes: dict[LoggedPubSub, None] = {}
        self._cut: dict[str, None] = {}
        self._is_down = False

    @property
    def gone(self) -> int:
        """The number of the newest message that the log has dropped."""
        return self.number - len(self.log)

    def plug_in(self, node: LoggedPubSub) -> None:
        """A node is there."""
        self._nodes[node] = None

    def unplug(self, node: LoggedPubSub) -> None:
        """It is not any more."""
        self._nodes.pop(node, None)

    def reaches(self, machine: str) -> bool:
        """Whether it reaches a node, and that it."""
        return not self._is_down and machine not in self._cut

    def stop(self) -> None:
        """Be out of reach for all."""
        self._is_down = True

    def start(self) -> None:
        """Be there again."""
        self._is_down = False
        self._fill_in()

    def forget(self) -> None:
        """Have another log, which is empty."""
        for node in self._nodes:
            node.lose_log()
        self.number = self.began = self.number + 1  # greater than what any position says
        self.log.clear()
        self.taken = {node.node: self.taken.get(node.node, 0) for node in self._nodes}

    def cut_off(self, node: str) -> None:
        """Be out of reach for one."""
        self._cut[node] = None

    def reach(self, node: str) -> None:
        """Be within its reach again."""
        self._cut.pop(node, None)
        self._fill_in()

    def _fill_in(self) -> None:
        reached = [node for node in self._nodes if self.reaches(node.name)]
        for node in reached:
            node.fill_in()
        for node in reached:
            node.leave()

    def take(self, publisher: LoggedPubSub, channel: str, payload: bytes, own: int) -> None:
        """A message has come; `own` is 0 where it is not kept."""
        if own:
            self.number += 1
            self.log.append(_Kept(self.number, publisher.node, own, channel, payload))
            self.taken[publisher.node] = own
        for node in list(self._nodes):
            if self.reaches(node.name):
                node.pass_on(publisher, channel, payload)


class LoggedPubSub(PubSub):
    """One node's end of a `LoggingBroker`.

    Args:
        broker: shared by the nodes.
        name: of this one.
        process: that it runs in.

    Attributes:
        node: its id in positions.
    """

    def __init__(self, broker: LoggingBroker, name: str, process: Process) -> None:
        self.name = name
        self.node = ""
        self._broker = broker
        self._loop = broker.loop
        self._process = process
        self._random = stream(broker.seed, "pubsub", name)
        self._is_open = False

    # For the node

    async def __aenter__(self) -> Self:
        self.node, self._own = token_urlsafe(6), 0
        self._channels: dict[str, None] = {}
        self._leaving: deque[tuple[str, bytes, int]] = deque()
        self._arrived: asyncio.Queue[tuple[str | asyncio.Event, bytes | None, int]]
        self._arrived = asyncio.Queue()
        self._sent_until = self._comes_at = 0.0
        self._cursor = self._broker.number  # up to which all was sent here that is to be
        self._lost: dict[str, None] = {}  # channels of what was not, and is in no log any more
        self._get_to(self._cursor)
        self._is_open = True
        self._broker.plug_in(self)
        return self

    async def __aexit__(self, *error: object) -> None:
        self.kill()

    def kill(self) -> None:
        """The node is dead, or stops: it is heard no more."""
        self._is_open = False
        self._broker.unplug(self)

    @property
    def ready(self) -> bool:
        return self._broker.reaches(self.name)

    def publish_nowait(self, channel: str, payload: bytes, *, kept: bool = False) -> None:
        if not self._is_open:
            raise UsageError("the pub/sub is closed")
        if kept:
            self._own += 1
            self._get_to(self._number)
        self._leaving.append((channel, payload, self._own if kept else 0))
        at = self._sent_until = not_before(
            self._sent_until, self._loop.time() + latency(self._random)
        )
        self._loop.call_at(at, self.leave)

    def is_awaited(self, channel: str, *, kept: bool = False) -> bool:  # noqa: ARG002 - it is
        return True

    async def subscribe(self, channel: str) -> None:
        if self.ready:
            await asyncio.sleep(latency(self._random))
        self._channels[channel] = None
        if self.ready:
            await asyncio.sleep(latency(self._random))

    async def unsubscribe(self, channel: str) -> None:
        await asyncio.sleep(latency(self._random))
        self._channels.pop(channel, None)

    async def messages(self) -> AsyncIterator[tuple[str, bytes | None]]:
        while True:
            channel, payload, number = await self._arrived.get()
            self._get_to(number)
            if isinstance(channel, asyncio.Event):
                channel.set()
            else:
                yield channel, payload

    async def catch_up(self) -> None:
        await self._wait_until(lambda: self.ready)
        caught_up = asyncio.Event()
        self._send(caught_up, None, self._broker.number)
        await caught_up.wait()

    async def missed(
        self, behind: Mapping[str, Collection[str]]
    ) -> Sequence[tuple[str, bytes]] | None:
        here = _Position.read(self.position)
        try:
            read = {text: _Position.read(text) for texts in behind.values() for text in texts}
        except ValueError:
            return None
        await self._wait_until(lambda: self.ready)
        await asyncio.sleep(latency(self._random))
        taken = self._broker.taken
        try:
            await self._wait_until(
                lambda: all(taken.get(at.node, 0) >= at.own for at in (here, *read.values()))
            )
        except Overloaded:
            return None
        broker = self._broker
        if here.number < broker.began:
            return None
        if any(max(read[text].number for text in texts) < broker.gone for texts in behind.values()):
            return None
        return [
            (kept.channel, kept.payload)
            for kept in broker.log
            if kept.channel in behind
            and here.includes(kept)
            and not any(read[text].includes(kept) for text in behind[kept.channel])
        ]

    def _get_to(self, number: int) -> None:
        self._number = number
        self.position = f"{self.node}:{self._own}:{number}"

    async def _wait_until(self, holds: Callable[[], bool]) -> None:
        until = self._loop.time() + _PATIENCE
        while not holds():
            if self._loop.time() >= until:
                raise Overloaded("the log is out of reach", retry_after=1)
            await asyncio.sleep(_LOOKS)

    # For the broker

    def leave(self) -> None:
        """What the node has published comes to the broker, if that is reached."""
        if not self.ready or self._process.is_dead:
            return  # until it is reached again
        while self._leaving:
            self._broker.take(self, *self._leaving.popleft())

    def pass_on(self, publisher: LoggedPubSub, channel: str, payload: bytes) -> None:
        """Send the node what has just been published, if it is for it."""
        number = self._cursor = self._broker.number
        if publisher is not self and channel in self._channels:
            self._send(channel, payload, number)

    def fill_in(self) -> None:
        """The node is reached again: send it what it has missed."""
        broker = self._broker
        self._lose_dropped()
        for channel in self._lost:
            self._send(channel, None, self._cursor)
        self._lost.clear()
        for kept in self._missed():
            self._send(kept.channel, kept.payload, kept.number)
        self._cursor = broker.number
        self._send(asyncio.Event(), None, self._cursor)  # for its position, where nothing else came

    def lose_log(self) -> None:
        """The log is about to be forgotten: what the node has missed in it is lost for it."""
        self._lose_dropped()
        self._lost.update(dict.fromkeys(kept.channel for kept in self._missed()))
        self._cursor = self._broker.number + 1

    def _lose_dropped(self) -> None:
        if self._cursor < self._broker.gone:
            self._lost.update(self._channels)

    def _missed(self) -> list[_Kept]:
        """What of the log is to be sent to the node, and was not."""
        return [
            kept
            for kept in self._broker.log
            if kept.number > self._cursor
            and kept.node != self.node
            and kept.channel in self._channels
        ]

    def _send(self, channel: str | asyncio.Event, payload: bytes | None, number: int) -> None:
        at = self._comes_at = not_before(self._comes_at, self._loop.time() + latency(self._random))
        self._loop.call_at(
            at, self._process.call, self._arrived.put_nowait, (channel, payload, number)
        )
