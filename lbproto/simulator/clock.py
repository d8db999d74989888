"""The clock of one node: it need not agree with those of the others."""

from __future__ import annotations

import asyncio

from lbproto.simulator.loop import VirtualLoop
from lbproto.testing import START

__all__ = ["NodeClock"]


class NodeClock:
    """The clock port, in virtual time.

    Args:
        loop: whose time it shows.
        since: what `monotonic` shows in the beginning, in seconds: since the machine was started.
        ahead: by how many seconds its wall clock is wrong.
        rate: how many of its seconds a second has.
    """

    def __init__(
        self, loop: VirtualLoop, *, since: float = 0.0, ahead: float = 0.0, rate: float = 1.0
    ) -> None:
        self._loop = loop
        self._since = since
        self._rate = rate
        self.ahead = ahead

    def now(self) -> float:
        return START + self._loop.time() + self.ahead

    def monotonic(self) -> float:
        return self._since + self._loop.time() * self._rate

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds) / self._rate)
