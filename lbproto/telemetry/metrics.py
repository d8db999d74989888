"""The metrics of one or several servers in one process.

Theory of operation. What is a number already is observed: an exporter asks in a thread of its own,
when it exports, and `Server.statistics()` is called in the event loop then. One snapshot serves
each instrument once; the first that asks again has a new one made. What a server does not count by
itself, requests by their end and credits, is added up in a dictionary and observed too: an SDK's
counter takes ten times as long. Only durations are recorded as they come, since nothing else makes
a histogram.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from contextlib import contextmanager
from functools import cache, partial
from threading import get_ident

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from lbproto.backends.crossing import entrance
from lbproto.credits.accounts import Announce
from lbproto.errors import ErrorCode
from lbproto.ledger.account import Account, Movement
from lbproto.operations.statistics import ServerStatistics
from lbproto.telemetry.instruments import OBSERVED, Observed
from lbproto.telemetry.names import METHOD, MOVED, OK, STATUS, SYSTEM, SYSTEM_NAME, TYPE, bounded

__all__ = ["CREDITS", "DURATION", "OURS", "REQUESTS", "Metrics"]

logger = logging.getLogger(__name__)

REQUESTS = "lbproto.requests"
DURATION = "rpc.server.call.duration"
CREDITS = "lbproto.credits"

OURS = frozenset((ErrorCode.INTERNAL, ErrorCode.TIMEOUT, ErrorCode.OVERLOADED))
"""Codes of failures that are the server's, not what the client has asked for."""

_READ_TIMEOUT = 1.0  # seconds that an exporter waits for a busy event loop
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

_End = tuple[str, ErrorCode | None]


@cache  # there are as many as events times codes
def _attributes(end: _End) -> dict[str, str]:
    method, code = end
    attributes = {SYSTEM: SYSTEM_NAME, METHOD: method, STATUS: code or OK}
    if code in OURS:
        attributes[TYPE] = str(code)
    return attributes


class _Source:
    """One server, running in the event loop that makes this, as exporters see it."""

    def __init__(self, statistics: Callable[[], ServerStatistics]) -> None:
        self._statistics = statistics
        self._call_soon = entrance(apart=True)
        self._thread = get_ident()
        self._served: set[str] = set()
        self._snapshot: ServerStatistics | None = None

    def read(self, name: str) -> ServerStatistics | None:
        """How the server is; None before that is known."""
        if self._snapshot is None or name in self._served:
            self._take()
        self._served.add(name)
        return self._snapshot

    def _take(self) -> None:
        self._served.clear()
        if get_ident() == self._thread:
            self._snapshot = self._statistics()
            return
        asked: Future[ServerStatistics] = Future()
        try:
            self._call_soon(partial(self._answer, asked))
            self._snapshot = asked.result(_READ_TIMEOUT)
        except (TooLate, RuntimeError) as error:  # or the event loop is over
            reason = "the event loop is busy" if isinstance(error, TooLate) else error
            logger.warning("an exporter gets figures of before: %s", reason)

    def _answer(self, asked: Future[ServerStatistics]) -> None:
        asked.set_result(self._statistics())


class Metrics:
    """The instruments; make them once for each meter.

    Args:
        meter: makes them.
        durations: whether there are durations of requests.
    """

    def __init__(self, meter: Meter, *, durations: bool) -> None:
        self._sources: list[_Source] = []
        self._requests: dict[_End, int] = {}
        self._moved: dict[tuple[str, str], int] = {}
        for observed in OBSERVED:
            make = {
                "counter": meter.create_observable_counter,
                "updowncounter": meter.create_observable_up_down_counter,
            }[observed.kind]
            observe = partial(self._observe, observed)
            make(observed.name, [observe], observed.unit, observed.description)
        meter.create_observable_counter(
            REQUESTS, [self._observe_requests], "{request}", "Requests, by what became of them"
        )
        meter.create_observable_counter(
            CREDITS, [self._observe_credits], "{credit}", "Credits given and spent"
        )
        self._duration = None
        if durations:
            self._duration = meter.create_histogram(
                DURATION,
                "s",
                "From a request's arrival until it was served",
                explicit_bucket_boundaries_advisory=_BUCKETS,
            )

    @contextmanager
    def observing(self, statistics: Callable[[], ServerStatistics]) -> Iterator[None]:
        """Have a server observed inside the `with`, which is to be in its event loop."""
        source = _Source(statistics)
        self._sources.append(source)
        try:
            yield
        finally:
            self._sources.remove(source)

    def _observe(self, observed: Observed, _options: CallbackOptions) -> Iterable[Observation]:
        read = [source.read(observed.name) for source in list(self._sources)]
        for same in zip(*(observed.read(each) for each in read if each is not None), strict=True):
            yield Observation(sum(value for value, _ in same), same[0][1])

    def served(self, method: str, code: ErrorCode | None, seconds: float) -> None:
        """Count a request; `method` is bounded already."""
        end = method, code
        self._requests[end] = self._requests.get(end, 0) + 1
        if self._duration is not None:
            self._duration.record(seconds, _attributes(end))

    def _observe_requests(self, _options: CallbackOptions) -> Iterable[Observation]:
        for end, count in list(self._requests.items()):
            yield Observation(count, _attributes(end))

    def _observe_credits(self, _options: CallbackOptions) -> Iterable[Observation]:
        for (direction, action), amount in list(self._moved.items()):
            yield Observation(amount, {MOVED: direction, METHOD: action})

    def counting(self, announce: Announce, actions: Container[str]) -> Announce:
        """What announces movements, and counts them.

        Args:
            actions: events that credits are spent on.
        """

        def count(account: Account, movement: Movement) -> None:
            direction = "given" if movement.amount > 0 else "spent"
            moved = direction, bounded(movement.reason, actions)
            self._moved[moved] = self._moved.get(moved, 0) + abs(movement.amount)
            announce(account, movement)

        return count
