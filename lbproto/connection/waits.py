"""Requests that are served for unusually long: the log names them, since others wait behind them.

Theory of operation. Most requests never wait, and cost nothing here. A connection reports the first
one that does, and from then on each that it begins, until all are answered. One timer of the server
is due when the oldest of these has taken too long.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from lbproto.clock import Clock
from lbproto.scheduling.timers import Timers
from lbproto.wire.arguments import Inbound

if TYPE_CHECKING:
    from lbproto.connection.intake import Intake, Work

__all__ = ["Waits"]

logger = logging.getLogger(__name__)

_UNUSUAL = 10.0  # seconds


class Waits:
    """What the connections of one server wait for.

    Args:
        clock: measures how long.
        timers: the server's.
    """

    def __init__(self, clock: Clock, timers: Timers) -> None:
        self._clock = clock
        self._timers = timers
        self._begun: dict[Intake, tuple[float, Work]] = {}  # the oldest first
        self._looks = False  # the timer is set

    def begin(self, intake: Intake, work: Work) -> None:
        """A connection waits for this from now on, and no longer for what was before it."""
        self.end(intake)
        now = self._clock.monotonic()
        self._begun[intake] = now, work
        if not self._looks:
            self._look_at(now + _UNUSUAL)

    def end(self, intake: Intake) -> None:
        """It waits for nothing; no effect where it has not."""
        self._begun.pop(intake, None)

    def _look_at(self, when: float) -> None:
        self._looks = True
        self._timers.call_at(when, self._look)

    def _look(self) -> None:
        self._looks = False
        now = self._clock.monotonic()
        for intake, (since, work) in list(self._begun.items()):
            if since + _UNUSUAL > now:
                self._look_at(since + _UNUSUAL)
                break
            self.end(intake)  # it is told of once
            logger.warning(
                "%s has taken %g s so far, and its client's next requests wait: give it a timeout, "
                "or make it a job",
                _name(work),
                now - since,
            )


def _name(work: Work) -> str:
    for argument in work.args:
        if isinstance(argument, Inbound):
            return f"the request {argument.shown_name!r}"
    return "the connecting of a client"
