"""An answer between whoever makes it and its reader: what came meanwhile is sent in one piece.

Theory of operation. The answerer says its parts in a task of its own; the turn's task takes all
that has come since it looked last, charges for it and sends it. While the client reads as fast as
the answer comes that is a part at a time; while it does not, the turn waits, parts are collected,
and the next delta is a large one. When a lot is collected the answerer waits, too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import anyio

from lbproto import LimitExceeded
from lbproto_chat.answerers import Answerer, Question
from lbproto_chat.beside import beside
from lbproto_chat.events import Usage
from lbproto_chat.tokens import about, at_least

__all__ = ["Collector"]

_COLLECTED = 16_384  # characters that may be collected before the answerer waits

Deliver = Callable[[str, Usage], Awaitable[None]]


class Collector:
    """Collects one answer: the `Reply` of its answerer.

    Args:
        question: what is answered.
        most: characters that the answer may have.

    Attributes:
        text: what was delivered.
        sql: the statement that ran; None for none.
    """

    def __init__(self, question: Question, most: int) -> None:
        self.text = ""
        self.sql: str | None = None
        self._question = question
        self._left = most
        self._parts: list[str] = []
        self._collected = 0  # characters
        self._told = 0  # tokens that deltas surely had, by whoever made them
        self._bytes = 0
        self._used: Usage | None = None
        self._arrived = anyio.Event()
        self._taken = anyio.Event()
        self._failure: Exception | None = None
        self._ended = False

    # Its answerer's side

    async def say(self, text: str, tokens: int = 0) -> None:
        """See `Reply.say`."""
        self._left -= len(text)
        if self._left < 0:
            raise LimitExceeded("The answer is longer than answers may be")
        self._parts.append(text)
        self._collected += len(text)
        self._told += tokens
        self._arrived.set()
        while self._collected > _COLLECTED:
            self._taken = anyio.Event()
            await self._taken.wait()

    def ran(self, sql: str) -> None:
        """See `Reply.ran`."""
        self.sql = sql

    def used(self, prompt: int, completion: int) -> None:
        """See `Reply.used`."""
        before = self._used or Usage(0, 0)
        self._used = Usage(before.prompt + prompt, before.completion + completion)

    # The turn's side

    @property
    def usage(self) -> Usage:
        """What the whole answer took: as it was told, else as it is estimated."""
        return self._used or Usage(about(self._question.text), about(self.text))

    async def deliver(self, answerer: Answerer, deliver: Deliver) -> None:
        """Have the question answered, and the answer delivered.

        Args:
            deliver: called with each part, and with the tokens that there were surely so far.

        Raises:
            RequestError: as the answerer does, once all is delivered that was said before; or as
                `deliver` does, and the answerer is cancelled.
        """
        await beside(partial(self._make, answerer), partial(self._pass_on, deliver))
        if self._failure is not None:
            raise self._failure

    async def _make(self, answerer: Answerer, _scope: anyio.CancelScope) -> None:
        try:
            await answerer.answer(self._question, self)
        except Exception as error:  # noqa: BLE001 - raised by `deliver`
            self._failure = error
        finally:
            self._ended = True
            self._arrived.set()

    async def _pass_on(self, deliver: Deliver) -> None:
        read = at_least(self._question.text)
        while True:
            if not (self._parts or self._ended):
                self._arrived = anyio.Event()
                await self._arrived.wait()
            text = "".join(self._parts)
            self._parts.clear()
            if text:
                self._collected = 0
                self._taken.set()
                self._bytes += len(text.encode(errors="surrogatepass"))
                await deliver(text, Usage(read, max(self._told, self._bytes // 8)))
                self.text += text
            elif self._ended:
                return
