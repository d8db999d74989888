"""Calls between nodes, and their answers: in order, and no further ahead than the caller likes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

import anyio
from msgspec import Raw

from lbproto.nodes.messages import Answer, Call, Given, Message, Read, encode
from lbproto.registry import RESERVED

__all__ = ["Asked", "Following", "Reply", "Say", "Take", "channel"]

Say = Callable[[Message, str], bool]
"""Sends a message by a channel; whether it is on its way."""

Take = Callable[[str, Raw], bool | None]
"""Takes a node's answer, which has come behind its former ones; whether that is enough."""


def channel(node: str) -> str:
    """The channel on which one node is addressed alone."""
    return f"{RESERVED}node:{node}"


class Reply:
    """The means to answer a call.

    Args:
        node: who answers.
        call: what is answered.
        say: sends.
        open_: the replies that go on, to which this one adds itself with `keep`.

    Attributes:
        to: the node that has called.
        read: called with how many answers the caller has read since it said so last; None once it
            has enough, or is gone.
    """

    def __init__(
        self, node: str, call: Call, say: Say, open_: dict[tuple[str, int], Reply]
    ) -> None:
        self.to = call.node
        self.read: Callable[[int | None], None] = _nobody
        self._node = node
        self._id = call.id
        self._say = say
        self._open = open_
        self._number = 0

    def keep(self, read: Callable[[int | None], None]) -> None:
        """Go on answering, until `end`."""
        self.read = read
        self._open[self.to, self._id] = self

    def say(self, body: Any) -> None:
        """Answer."""
        self._answer(body, is_last=False)

    def end(self, *bodies: Any) -> None:
        """Answer by these, and no more."""
        for body in bodies:
            self.say(body)
        self._answer(None, is_last=True)
        self.leave()

    def repeat(self) -> None:
        """Say how many answers there were, so that it is noticed if some were lost."""
        self._say(Given(self._node, self._id, self._number), channel(self.to))

    def leave(self) -> None:
        """Answer no more, without a word."""
        self._open.pop((self.to, self._id), None)

    def _answer(self, body: Any, *, is_last: bool) -> None:
        answer = Answer(self._node, self._id, self._number, is_last, Raw(encode(body)))
        self._number += 1  # what cannot be sent is missed, and so is whatever follows it
        self._say(answer, channel(self.to))


class Asked:
    """A call, and the nodes that have not answered it yet.

    Args:
        node: who calls.
        id_: names the call.
        nodes: who is to answer.
        open_: the calls that wait; this one is among them until it is left.

    Attributes:
        waits_for: nodes whose last answer is not there, each with the number of its next one.
        take: called with each answer, and who gives it; where it returns True, no others are
            waited for.
        ended: called with a node that answers no more, and whether it has said so.
        done: set once nobody is waited for.
        follows: whom to ask now and then whether something was lost; "" for nobody.
    """

    def __init__(self, node: str, id_: int, nodes: Iterable[str], open_: dict[int, Asked]) -> None:
        self.node = node
        self.id = id_
        self.waits_for = dict.fromkeys(nodes, 0)
        self.take: Take = _nobody_reads
        self.ended: Callable[[str, bool], None] = _nobody_waits
        self.done = anyio.Event()
        self.follows = ""
        self._open = open_
        open_[id_] = self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.pop(self.id, None)

    def hear(self, answer: Answer) -> None:
        """An answer has come; one that follows another that was lost is the last."""
        number = self.waits_for.get(answer.node)
        if number is None or answer.number < number:
            return
        if answer.number > number or answer.is_last:
            self.end(answer.node, is_complete=answer.number == number)
            return
        self.waits_for[answer.node] += 1
        if self.take(answer.node, answer.body):
            self.done.set()

    def check(self, given: Given) -> None:
        """Notice whether an answer was lost."""
        if self.waits_for.get(given.node, given.many) != given.many:
            self.end(given.node)

    def end(self, node: str, *, is_complete: bool = False) -> None:
        """A node answers no more; `is_complete` where nothing of its answers was lost."""
        del self.waits_for[node]
        self.ended(node, is_complete)
        if not self.waits_for:
            self.done.set()


class Following:
    """The answers of the first node that has any, as read by the caller.

    Args:
        asked: the call.
        say: tells that node how many were read.

    Attributes:
        node: which it is; None for none so far.
        begun: set once that is known.
        is_complete: whether the last answer has come, and none was lost.
    """

    def __init__(self, asked: Asked, say: Say) -> None:
        self.node: str | None = None
        self.begun = anyio.Event()
        self.is_complete = False
        self._asked = asked
        self._say = say
        self._answers: deque[Raw] = deque()
        self._is_over = False
        self._changed = anyio.Event()
        asked.ended = self._ended

    def take(self, node: str, answer: Raw) -> None:
        """An answer has come."""
        if self.node is None:
            self.node = self._asked.follows = node
            self.begun.set()
        if node == self.node:
            self._answers.append(answer)
            self._changed.set()

    async def next(self) -> Raw | None:
        """The next answer, whose predecessors have all been read; None after the last."""
        while not self._answers and not self._is_over:
            self._changed = anyio.Event()
            await self._changed.wait()
        return self._answers.popleft() if self._answers else None

    def read(self) -> None:
        """Have more answers."""
        self._tell(1)

    def close(self) -> None:
        """Have no more."""
        with self._asked:
            if not self.is_complete:
                self._tell(None)
            self._is_over = True
            self._answers.clear()
            self._changed.set()

    def _tell(self, many: int | None) -> None:
        if self.node is not None:
            self._say(Read(self._asked.node, self._asked.id, many), channel(self.node))

    def _ended(self, node: str, is_complete: bool) -> None:
        if node == self.node:
            self._is_over = True
            self.is_complete = is_complete
            self._changed.set()
        if not self._asked.waits_for:
            self.begun.set()


def _nobody(_: object) -> None:
    """No-op: default callback."""


def _nobody_reads(node: str, answer: Raw) -> None:
    """No-op: default callback for answers."""


def _nobody_waits(node: str, is_complete: bool) -> None:
    """No-op: default callback for waits."""
