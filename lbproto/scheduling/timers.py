"""Many deadlines in one task: heartbeats and timeouts of every connection of a server.

A task per connection that sleeps would cost more memory than the rest of an idle session.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from heapq import heapify, heappop, heappush
from itertools import count
from math import inf

import anyio

from lbproto.clock import Clock

__all__ = ["Timer", "Timers"]


_FIRST_SWEEP = 1_024


class Timer:
    """A callback that is due once; `cancel()` forgets it."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Never call it; releases the callback at once."""
        self.callback = None


class Timers:
    """Deadlines by a clock's monotonic time.

    Args:
        clock: also sleeps for us, so that a virtual clock moves every deadline.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = count()
        self._sweep_at = _FIRST_SWEEP
        self._wakes_at = inf
        self._sleep: anyio.CancelScope | None = None

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` once the clock shows `when`. It must neither block nor raise."""
        timer = Timer(callback)
        heappush(self._heap, (when, next(self._order), timer))
        if len(self._heap) >= self._sweep_at:
            self._sweep()
        if when < self._wakes_at and self._sleep is not None:
            self._sleep.cancel()
        return timer

    def __len__(self) -> int:
        """How many are kept, cancelled ones included until they are due or swept."""
        return len(self._heap)

    def _sweep(self) -> None:
        """Drop what was cancelled whenever the heap has doubled: amortised O(1) a timer."""
        self._heap[:] = [entry for entry in self._heap if entry[2].callback is not None]
        heapify(self._heap)
        self._sweep_at = max(_FIRST_SWEEP, 2 * len(self._heap))

    @contextmanager
    def deadline(self, when: float, callback: Callable[[], None]) -> Iterator[None]:
        """Call `callback` if the body has not ended when the clock shows `when`."""
        timer = self.call_at(when, callback)
        try:
            yield
        finally:
            timer.cancel()

    def call_due(self, now: float) -> float:
        """Call what is due.

        Returns:
            When the next one is; infinity where there is none.
        """
        heap = self._heap
        while heap and (heap[0][0] <= now or heap[0][2].callback is None):
            callback = heappop(heap)[2].callback
            if callback is not None:
                callback()
        return heap[0][0] if heap else inf

    async def run(self) -> None:
        """Call back at each deadline, until cancelled."""
        while True:
            now = self._clock.monotonic()
            wakes_at = self.call_due(now)
            with anyio.CancelScope() as self._sleep:
                self._wakes_at = wakes_at
                if wakes_at == inf:
                    await anyio.sleep_forever()
                await self._clock.sleep(wakes_at - now)
            self._wakes_at = -inf
