"""Commands sent to the server on a connection of their own, beside the link."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from lbproto.backends.redis_link import RedisLink
from lbproto.errors import Overloaded

__all__ = ["OUT_OF_REACH", "Questions"]

OUT_OF_REACH = "The log of the other nodes cannot be reached; try again"

T = TypeVar("T")


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
