"""Outbound bytes: one writer for all connections, once per turn of the event loop.

Whoever queues a frame marks its connection; the writer then goes over the marked ones and sends
what each has. See `lbproto.scheduling.relay` for those that have to wait.
"""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from typing import Any, Protocol

from lbproto.clock import Clock
from lbproto.delivery.turn import Turn
from lbproto.scheduling.relay import Relay
from lbproto.scheduling.tasks import StartSoon
from lbproto.scheduling.wakeup import Wakeup

__all__ = ["Sink", "Writer"]

logger = logging.getLogger(__name__)

_HOLD = 0.001  # seconds


class Sink(Protocol):
    """A connection with queued bytes."""

    writing: bool
    """Whether a task is sending for it now; kept by the writer."""

    def flush_nowait(self) -> bool:
        """Send everything that is queued, if that takes no waiting; else return False."""
        ...

    async def flush(self) -> None:
        """Send everything that is queued, also what is queued meanwhile."""
        ...


class Writer(Relay[Sink]):
    """Sends for every connection of a server.

    Args:
        start_soon: starts a task that outlives the caller.
        turn: writes to many connections at once.
        clock: times the writes that are held for a moment.
    """

    def __init__(self, start_soon: StartSoon, turn: Turn, clock: Clock) -> None:
        super().__init__(start_soon)
        self._turn = turn
        self._clock = clock
        self._held = Wakeup()
        turn.wake = self.wake
        turn.hold = self._hold

    def _serve(self, item: Sink) -> Coroutine[Any, Any, None] | None:
        if item.writing:
            return None  # whoever is at it takes what came since
        return None if item.flush_nowait() else self._flush(item)

    async def _flush(self, sink: Sink) -> None:
        sink.writing = True
        try:
            await sink.flush()
        except OSError:
            pass  # the peer is gone; whoever reads from it notices too
        except Exception:
            logger.exception("a transport failed while sending")
        finally:
            sink.writing = False

    def _end_round(self) -> None:
        if not self._turn.held:
            self._turn.write()  # behind what was queued for one of them before it

    def _hold(self) -> None:
        self._held.set()

    async def keep_pace(self) -> None:
        """Release what is held in its time, until cancelled."""
        while True:
            await self._held.wait()
            await self._clock.sleep(_HOLD)
            self._turn.release()
