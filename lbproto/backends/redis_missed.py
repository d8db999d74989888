"""What is asked of the logs while their link is in use otherwise; and what others have missed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from time import monotonic
from typing import Any, TypeVar

import msgspec

from lbproto.backends.parcels import ROOM, Parcel, Place
from lbproto.backends.positions import Position
from lbproto.backends.redis_link import RedisLink
from lbproto.backends.redis_log import Logged, Logs
from lbproto.errors import Overloaded

__all__ = ["OUT_OF_REACH", "Found", "Questions", "missed_in"]

OUT_OF_REACH = "The log of the other nodes cannot be reached; try again"

T = TypeVar("T")

_COMING = 1.0  # seconds that another node's latest messages may take
_POLL = 0.05  # seconds between two looks
_MAX_NODES = 256  # that positions name


class Questions:
    """Questions to the server, answered one after the other by whatever link there is.

    Whoever gives up waiting leaves the link as it is: the answer is read by another task.

    Args:
        seconds: how long an answer may take.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waiting: deque[tuple[Callable[[RedisLink], Awaitable[Any]], asyncio.Future[Any]]]
        self._waiting = deque()
        self._wake = asyncio.Event()

    async def ask(self, work: Callable[[RedisLink], Awaitable[T]]) -> T:
        """What that answers; it may be done twice.

        Raises:
            Overloaded: there is no answer.
        """
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, answer))
        self._wake.set()
        try:
            async with asyncio.timeout(self._seconds):
                return await answer
        except TimeoutError:
            raise Overloaded(OUT_OF_REACH, retry_after=1) from None
        finally:
            answer.cancel()

    async def answer(self, link: RedisLink, sending: asyncio.Lock) -> None:
        """Answer, until cancelled.

        Args:
            sending: held by whoever uses the link.
        """
        while True:
            while not self._waiting:
                self._wake.clear()
                await self._wake.wait()
            work, answer = self._waiting[0]
            if not answer.done():
                async with sending:
                    result = await work(link)
                if not answer.done():
                    answer.set_result(result)
            self._waiting.popleft()


async def missed_in(
    questions: Questions,
    logs: Logs,
    tag: str,
    here: Position,
    behind: Mapping[str, Sequence[Position]],
) -> list[tuple[str, bytes]] | None:
    """What of a shard's log one position has, and others have not; see `PubSub.missed`.

    Args:
        here: that one; what its node has published is in the log.
        behind: the others, for each channel at least one.
    """
    others = [each for positions in behind.values() for each in positions]
    ahead: dict[str, int] = {}
    for each in others:
        if each.node != here.node:
            ahead[each.node] = max(ahead.get(each.node, 0), each.own)
    if len(ahead) > _MAX_NODES:
        return None
    head = await _head_with(questions, logs, tag, ahead)
    epochs = {here.place.epoch, *(each.place.epoch for each in others)}
    if head is None or epochs != {head.epoch} or any(each.place > head for each in others):
        return None
    number = min(max(each.place.number for each in positions) for positions in behind.values())
    found = Found(here, behind)
    while number < head.number:
        page = await questions.ask(partial(logs.read, tag=tag, first=number + 1))
        if page.place.epoch != head.epoch or not page.parcels:
            return None
        for logged in page.parcels:
            if logged.follows > number:
                return None
            number = logged.place.number
            found.look_at(logged)
    return found.messages


class Found:
    """What one position has, and others have not.

    Attributes:
        messages: each with its channel, in the log's order.
    """

    def __init__(self, here: Position, behind: Mapping[str, Sequence[Position]]) -> None:
        self._here = here
        self._behind = behind
        self._latest: dict[tuple[str, str], int] = {}  # by publisher and channel
        self.messages: list[tuple[str, bytes]] = []

    def look_at(self, logged: Logged) -> None:
        """The next parcel of the log."""
        channel = logged.name.removeprefix(ROOM)
        if channel not in self._behind:
            return
        parcel = _decode(logged.data)
        node = parcel.node
        if not parcel.kept or parcel.own[-1] <= self._latest.get((node, channel), 0):
            return  # what comes a second time had not been answered to its publisher
        self._latest[node, channel] = parcel.own[-1]
        numbers = range(logged.follows + 1, logged.place.number + 1)
        for number, own, payload in zip(numbers, parcel.own, parcel.payloads, strict=True):
            if self._here.includes(node, own, number) and not any(
                each.includes(node, own, number) for each in self._behind[channel]
            ):
                self.messages.append((channel, payload))


async def _head_with(
    questions: Questions, logs: Logs, tag: str, own: Mapping[str, int]
) -> Place | None:
    """How far a log has got once it has so many messages of each node; None where it never has."""
    until = monotonic() + _COMING
    while True:
        head = await questions.ask(partial(logs.head, tag=tag, nodes=own))
        if all(come >= wanted for come, wanted in zip(head.own, own.values(), strict=True)):
            return head.place
        if monotonic() > until:
            return None
        await asyncio.sleep(_POLL)


_decode = msgspec.msgpack.Decoder(Parcel).decode
