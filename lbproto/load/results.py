"""What was measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log2

from lbproto.load.usage import Usage

__all__ = [
    "Connected",
    "CrowdStatistics",
    "FanOut",
    "Measured",
    "Progress",
    "Quantiles",
    "Requests",
]

_STEPS = 2  # bars for each doubling of the delay
_MS = 1e-6  # of a nanosecond


@dataclass(frozen=True, slots=True)
class Connected:
    """How long it took until all had got that far.

    Attributes:
        clients: how many.
        seconds: from the first to the last.
    """

    clients: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Clients a second."""
        return self.clients / self.seconds


@dataclass(frozen=True, slots=True)
class CrowdStatistics:
    """How it is with the clients.

    Attributes:
        connected: clients that are connected, in a room or not.
        subscribed: clients that are in a room.
        stalled: clients that do not read any more.
        counts: deliveries to each of the clients that read, since they have been counted.
    """

    connected: int
    subscribed: int
    stalled: int
    counts: Sequence[int]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a measurement has got.

    Attributes:
        seconds: since it began, without warming up.
        of: how many it takes.
        done: deliveries or requests so far; while it warms up, those of that.
        warm: whether it has warmed up.
    """

    seconds: float
    of: float
    done: int
    warm: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What every measurement tells.

    Attributes:
        clients: how many took part.
        seconds: how long it took, until the last that was asked for had come.
        fewest: deliveries, or answers, to the client that got fewest.
        most: those to the client that got most.
        p50: the median of the delays, in milliseconds; None where none was seen.
        p90: what 90 % of them do not exceed.
        p99: what 99 % of them do not exceed.
        max: the longest.
        samples: how many delays these are of.
        histogram: the delays as bars: upper end in milliseconds, and how many; no bar is left out
            between the first and the last.
        server: what the server's process used meanwhile; None where it is not known.
        generator: seconds that this process was on a core meanwhile. Near `seconds`, it was the
            generator that could do no more.
    """

    clients: int
    seconds: float
    fewest: int
    most: int
    p50: float | None = None
    p90: float | None = None
    p99: float | None = None
    max: float | None = None
    samples: int = 0
    histogram: tuple[tuple[float, int], ...] = ()
    server: Usage | None = None
    generator: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FanOut(Measured):
    """Events to everybody in their rooms; what it has besides is in `Measured`.

    Attributes:
        deliveries: how many events reached a client.
        expected: how many should have. Where the server publishes by itself, everybody in a room
            should have got what the one of them got that has most.
        triggers: how often the server was asked to publish.
        events: how many events each time; 0 where it publishes by itself.
        lost: deliveries that clients did not get and should have.
        surplus: deliveries that clients got and nobody asked for.
    """

    deliveries: int
    expected: int
    triggers: int
    events: int
    lost: int
    surplus: int

    @property
    def per_second(self) -> float:
        """Deliveries a second."""
        return self.deliveries / self.seconds if self.seconds else 0.0

    @property
    def cpu_us(self) -> float | None:
        """Microseconds that the server was on a core, for each delivery; None if not known."""
        return _each(self.server, self.deliveries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests(Measured):
    """Requests and their answers; what it has besides is in `Measured`.

    Attributes:
        requests: how many were answered.
        depth: how many a client had under way at a time.
    """

    requests: int
    depth: int

    @property
    def per_second(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds if self.seconds else 0.0

    @property
    def cpu_us(self) -> float | None:
        """Microseconds that the server was on a core, for each request; None if not known."""
        return _each(self.server, self.requests)


def _each(server: Usage | None, count: int) -> float | None:
    return None if server is None or not count else server.on_cpu * 1e6 / count


@dataclass(frozen=True, slots=True)
class Quantiles:
    """See `Measured`."""

    p50: float | None = None
    p90: float | None = None
    p99: float | None = None
    max: float | None = None
    histogram: tuple[tuple[float, int], ...] = ()

    @classmethod
    def of(cls, delays: Sequence[int]) -> Quantiles:
        """Those of delays in nanoseconds."""
        if not delays:
            return cls()
        order = sorted(delays)
        last = len(order) - 1
        p50, p90, p99, most = (order[round(part * last)] * _MS for part in (0.5, 0.9, 0.99, 1))
        return cls(p50, p90, p99, most, _bars(delays))


def _bars(delays: Sequence[int]) -> tuple[tuple[float, int], ...]:
    bars = Counter(ceil(log2(max(delay, 1) * _MS) * _STEPS) for delay in delays)
    return tuple((2 ** (bar / _STEPS), bars[bar]) for bar in range(min(bars), max(bars) + 1))
