"""One task that serves many in turn; when one must wait, a successor serves the others.

Theory of operation. Whoever has something to be done marks itself; once per turn of the event loop
the task goes over the marked ones. Most are done without waiting, so one task serves thousands.
When one has to wait (a slow peer, a handler that asks a database), the task stays with that one
alone, and a successor goes on with the rest: nobody waits behind a slow one. A successor takes over
too when one has changed context variables (PEP 567): they are its own, not those of the next.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterator
from contextvars import Context, copy_context
from typing import Any, Generic, TypeVar

from lbproto.scheduling.suspension import notify_suspension
from lbproto.scheduling.tasks import StartSoon
from lbproto.scheduling.wakeup import Wakeup

__all__ = ["Relay"]

T = TypeVar("T")


class Relay(ABC, Generic[T]):
    """Serves those that are marked; whoever is marked is marked once until it is served.

    Args:
        start_soon: starts a task that outlives the caller.
    """

    def __init__(self, start_soon: StartSoon) -> None:
        self._start_soon = start_soon
        self._context = copy_context()  # what every task begins with
        self._marked: list[T] = []
        self._round: Iterator[T] = iter(())
        self._served: T | None = None
        self._wake = Wakeup()
        self._shift = 0  # counts the successors: a task whose number is past has been succeeded

    def mark(self, item: T) -> None:
        """Have this one served in the next turn of the event loop."""
        if not self._marked:
            self._wake.set()
        self._marked.append(item)

    def wake(self) -> None:
        """Have a round begin, whether or not anybody is marked."""
        self._wake.set()

    async def run(self) -> None:
        """Serve until cancelled, or until a successor has taken over."""
        shift, clean = self._shift, copy_context()
        while True:
            await notify_suspension(self._serve_all(shift, clean), self._suspended)
            if shift != self._shift:
                return
            self._end_round()
            if not self._marked:
                self._wake.clear()  # whatever it was set for meanwhile has been served
                await self._wake.wait()
            self._round, self._marked = iter(self._marked), []

    async def _serve_all(self, shift: int, clean: Context) -> None:
        for item in self._round:
            if (rest := self._serve(item)) is None:
                continue
            self._served = item
            await rest
            if shift == self._shift and copy_context() != clean:
                self._hand_over()
            if shift != self._shift:
                return
        self._served = None

    def _suspended(self) -> None:
        if self._served is not None:
            self._waits(self._served)
        self._hand_over()

    def _hand_over(self) -> None:
        self._shift += 1
        self._served = None
        self._context.copy().run(self._start_soon, self.run)

    @abstractmethod
    def _serve(self, item: T) -> Coroutine[Any, Any, None] | None:
        """Serve one; what is returned is awaited, where that may have to wait. Must not raise."""

    def _waits(self, item: T) -> None:
        """The one that is being served has to wait; other tasks run from here on."""

    def _end_round(self) -> None:
        """Everybody who was marked has been served."""
