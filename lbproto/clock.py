"""The clock port: every time that lbproto reads and every wait comes through it.

A simulator or a test passes its own clock; nothing else in the package reads the system's.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol

import anyio

__all__ = ["Clock", "SystemClock", "iso_timestamp"]


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> float:
        """Wall time: seconds since the Unix epoch. May step; only for what a client is shown."""
        ...

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never steps back. For every deadline."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for that many seconds of `monotonic()`; a checkpoint also when `seconds` <= 0."""
        ...


class SystemClock:
    """The machine's clock; the waiting is the event loop's."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(max(0.0, seconds))


def iso_timestamp(milliseconds: int) -> str:
    """The contract's form of a moment: `2026-01-20T12:00:00.000Z`.

    Args:
        milliseconds: since the Unix epoch, UTC; between the years 1 and 9999.

    Raises:
        OverflowError, ValueError: outside those years.
    """
    seconds, rest = divmod(milliseconds, 1000)
    return f"{_second(seconds)}.{rest:03d}Z"


@lru_cache(maxsize=16)  # many events of one second are told
def _second(seconds: int) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.replace(tzinfo=None).isoformat()  # %Y pads on some systems only
