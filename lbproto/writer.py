"""Outbound bytes: one writer for all connections, once per turn of the event loop.

Whoever queues a frame marks its connection; the writer then goes over the marked ones and sends
what each has. Most sends finish at once, so one task serves thousands of connections. When a send
has to wait (a slow peer), that task stays with that one connection, and a successor goes on with
the rest: nobody waits behind a slow one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Protocol

import anyio

from lbproto.suspension import notify_suspension
from lbproto.turn import Turn

__all__ = ["Sink", "Writer"]

logger = logging.getLogger(__name__)

StartSoon = Callable[[Callable[[], Coroutine[Any, Any, None]]], object]


class Sink(Protocol):
    """A connection that has something to send."""

    writing: bool
    """Whether a task is sending for it now; kept by the writer."""

    def flush_nowait(self) -> bool:
        """Send everything that is queued, if that takes no waiting; else return False."""
        ...

    async def flush(self) -> None:
        """Send everything that is queued, also what is queued meanwhile."""
        ...


class Writer:
    """Sends for every connection of a server.

    Args:
        start_soon: starts a task that outlives the caller.
        turn: what is sent to many at once.
    """

    def __init__(self, start_soon: StartSoon, turn: Turn) -> None:
        self._start_soon = start_soon
        self._turn = turn
        turn.wake = self._wake_up
        self._marked: list[Sink] = []
        self._sinks: Iterator[Sink] = iter(())
        self._wake = anyio.Event()
        self._shift = 0  # counts the successors: a task whose number is past has been succeeded

    def mark(self, sink: Sink) -> None:
        """Have this connection flushed in the next turn of the event loop."""
        if not self._marked:
            self._wake.set()
        self._marked.append(sink)

    def _wake_up(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        """Write until cancelled, or until a send has to wait and a successor has taken over."""
        shift = self._shift
        while True:
            await notify_suspension(self._flush_all(shift), self._hand_over)
            if shift != self._shift:
                return
            self._turn.write()  # behind what was queued for one of them before it
            if not self._marked:
                self._wake = anyio.Event()
                await self._wake.wait()
            self._sinks, self._marked = iter(self._marked), []

    async def _flush_all(self, shift: int) -> None:
        for sink in self._sinks:
            if sink.writing:
                continue  # whoever is at it takes what came since
            if sink.flush_nowait():
                continue
            sink.writing = True
            try:
                await sink.flush()
            except OSError:
                pass  # the peer is gone; whoever reads from it notices too
            except Exception:
                logger.exception("a transport failed while sending")
            finally:
                sink.writing = False
            if shift != self._shift:
                return

    def _hand_over(self) -> None:
        self._shift += 1
        self._start_soon(self.run)
