"""The metrics of one or several servers in one process.

Theory of operation. What is a number already is observed: an exporter asks in a thread of its own,
when it exports, and `Server.statistics()` is called in the event loop then. One snapshot serves
each instrument once; the first that asks again has a new one made. Only what a server does not
count by itself is recorded as it happens: how long requests take, and credits.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from contextlib import contextmanager
from functools import partial
from threading import get_ident

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from lbproto.backends.crossing import entrance
from lbproto.credits import Announce
from lbproto.errors import ErrorCode
from lbproto.ledger.account import Account, Movement
from lbproto.statistics import ServerStatistics
from lbproto.telemetry.instruments import OBSERVED, Observed
from lbproto.telemetry.names import METHOD, MOVED, OK, STATUS, SYSTEM, SYSTEM_NAME, TYPE, bounded

__all__ = ["CREDITS", "DURATION", "OURS", "Metrics"]

logger = logging.getLogger(__name__)

DURATION = "rpc.server.call.duration"
CREDITS = "lbproto.credits"

OURS = frozenset((ErrorCode.INTERNAL, ErrorCode.TIMEOUT, ErrorCode.OVERLOADED))
"""Codes of failures that are the server's, not what the client has asked for."""

_PATIENCE = 1.0  # seconds that an exporter waits for a busy event loop
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


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
            self._snapshot = asked.result(_PATIENCE)
        except (TooLate, RuntimeError) as error:  # or the event loop is over
            reason = "the event loop is busy" if isinstance(error, TooLate) else error
            logger.warning("an exporter gets figures of before: %s", reason)

    def _answer(self, asked: Future[ServerStatistics]) -> None:
        asked.set_result(self._statistics())


class Metrics:
    """The instruments; make them once for each meter.

    Args:
        meter: makes them.
    """

    def __init__(self, meter: Meter) -> None:
        self._sources: list[_Source] = []
        self._attributes: dict[tuple[str, ErrorCode | None], dict[str, str]] = {}
        for observed in OBSERVED:
            make = {
                "counter": meter.create_observable_counter,
                "updowncounter": meter.create_observable_up_down_counter,
            }[observed.kind]
            observe = partial(self._observe, observed)
            make(observed.name, [observe], observed.unit, observed.description)
        self._duration = meter.create_histogram(
            DURATION,
            "s",
            "From a request's arrival until it was served",
            explicit_bucket_boundaries_advisory=_BUCKETS,
        )
        self._credits = meter.create_counter(CREDITS, "{credit}", "Credits given and spent")

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
        attributes = self._attributes.get((method, code))
        if attributes is None:
            attributes = {SYSTEM: SYSTEM_NAME, METHOD: method, STATUS: code or OK}
            if code in OURS:
                attributes[TYPE] = str(code)
            self._attributes[method, code] = attributes
        self._duration.record(seconds, attributes)

    def counting(self, announce: Announce, actions: Container[str]) -> Announce:
        """What announces movements, and counts them.

        Args:
            actions: events that credits are spent on.
        """

        def count(account: Account, movement: Movement) -> None:
            direction = "given" if movement.amount > 0 else "spent"
            attributes = {MOVED: direction, METHOD: bounded(movement.reason, actions)}
            self._credits.add(abs(movement.amount), attributes)
            announce(account, movement)

        return count
