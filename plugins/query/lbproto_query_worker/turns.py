"""Queries of one worker whose memory does not suffice for all: those that it fails run again.

Theory of operation. DuckDB has one bound of memory for all that it runs: `operator_memory_limit`,
of a connection, says from when on to write to disk, which a worker may not, and refuses nothing.
Where one query takes all there is, whoever asks next is refused, and that may be a small one.

So a query that was refused memory while others ran, and has sent nothing yet, runs again: one such
at a time, once the others have ended or a second is over, and for another second nobody begins
beside it. What needs little gets it then; what needs too much is refused again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from threading import Condition
from typing import TypeVar

from lbproto_query_worker.refusals import is_memory

__all__ = ["Turns"]

T = TypeVar("T")

_TRIES = 3
_TICK = 0.02  # seconds between looks at whether whoever waits has to end


class Turns:
    """Has queries run, each in a thread of its own.

    Args:
        patience: seconds at most that a query that runs again waits for the others, and new ones
            for it.
    """

    def __init__(self, patience: float = 1.0) -> None:
        self._patience = patience
        self._changed = Condition()
        self._begun = 0
        self._running = 0
        self._again = False

    def run(self, work: Callable[[], T], check: Callable[[], None]) -> T:
        """What comes of `work`, which is done again where its neighbours had all the memory.

        Args:
            work: may be done several times; what it raises when done last is raised.
            check: raises if there is nothing to wait for any more; it is called now and then.
        """
        for left in reversed(range(_TRIES)):
            first = left == _TRIES - 1
            with self._turn(first, check):
                begun, beside = self._begun, self._running > 1
                try:
                    return work()
                except Exception as error:
                    if not left or not is_memory(error) or not (beside or self._begun > begun):
                        raise
        raise AssertionError("the last try returns or raises")

    @contextmanager
    def _turn(self, first: bool, check: Callable[[], None]) -> Iterator[None]:
        with self._changed:
            if first:
                self._wait(lambda: not self._again, check, self._patience)
            else:
                self._wait(lambda: not self._again, check)
                self._again = True
                try:
                    self._wait(lambda: not self._running, check, self._patience)
                except BaseException:
                    self._again = False
                    raise
            self._begun += 1
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._again = self._again and first
                self._changed.notify_all()

    def _wait(
        self, until: Callable[[], bool], check: Callable[[], None], seconds: float = inf
    ) -> None:
        while seconds > 0 and not until():
            self._changed.wait(_TICK)
            seconds -= _TICK
            check()
