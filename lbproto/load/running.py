"""One measurement while it runs: what is expected, what has come, and for how long."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from time import monotonic, process_time
from typing import Any

from lbproto.load.client import quoted
from lbproto.load.crowd import Crowd
from lbproto.load.errors import LoadError
from lbproto.load.results import FanOut, Progress, Quantiles, Requests
from lbproto.load.usage import Usage

__all__ = ["Run"]

_REPORT_SECONDS = 0.1  # seconds between two tellings


class Run:
    """A measurement, in phases: one to warm up, and the one that counts.

    Args:
        crowd: whose clients are counted; waits for a moment of quiet.
        marker: what is counted.
        every: see `Crowd.count`.
        progress: is told how it goes.

    Attributes:
        expected: how many were asked for, in this phase.
    """

    def __init__(
        self,
        crowd: Crowd,
        marker: str | bytes,
        every: int,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self.expected = 0
        self._crowd = crowd
        self._every = every
        self._timestamp = crowd.dialect.timestamp
        self._progress = progress
        self._tally = crowd.count(marker, every=every, timestamp=self._timestamp)
        self._rooms = {client.fd: client.room for client in crowd.readers}
        self._each: Counter[str] = Counter()  # expected of each client of a room
        self._triggers = 0
        self._seconds = self._start = self._told = 0.0
        self._warm = False
        self._before: dict[int, int] = {}
        self._total = 0
        self._seen = 0
        self._seen_at = 0.0
        self._usage: Usage | None = None
        self._own = 0.0
        self._took: float | None = None
        self._server: Usage | None = None

    # While it runs

    def begin(self, seconds: float, *, warm: bool) -> None:
        """Begin a phase of so many seconds; what came before does not count."""
        tally, process = self._tally, self._crowd.process
        tally.delays.clear()
        self._seconds, self._warm = seconds, warm
        self._before = dict(tally.counts)
        self._total = self._seen = tally.total
        self.expected = self._triggers = 0
        self._each.clear()
        self._usage = process.usage() if process is not None else None
        self._own = process_time()
        self._start = self._told = self._seen_at = monotonic()

    @property
    def arrived(self) -> int:
        """How many have come, in this phase."""
        return self._tally.total - self._total

    @property
    def over(self) -> bool:
        """Whether the time is up: nothing more is asked for."""
        return self._crowd.stopping or monotonic() - self._start >= self._seconds

    def goes_on(self) -> bool:
        """Whether the time is not up, or something has still to come.

        Raises:
            LoadError: it has not come for a long time.
        """
        now = monotonic()
        if self._seen != self._tally.total or self.arrived >= self.expected:
            self._seen, self._seen_at = self._tally.total, now
        elif now - self._seen_at > self._crowd.patience:
            raise self._missing()
        return self.arrived < self.expected or not self.over

    def turn(self, timeout: float) -> None:
        """Wait for something to happen, for at most so many seconds."""
        self._crowd.turn(timeout)
        if self._progress is not None and (now := monotonic()) - self._told >= _REPORT_SECONDS:
            self._told = now
            self._progress(Progress(now - self._start, self._seconds, self.arrived, self._warm))

    def asked_for(self, room: str, events: int, clients: int) -> None:
        """So many events to the clients of a room are expected."""
        self._triggers += 1
        self._each[room] += events
        self.expected += events * clients

    @contextmanager
    def hooks(
        self, answered: Callable[[int, int, bytes], None], unmarked: Callable[[int, bytes], None]
    ) -> Iterator[None]:
        """Have these told, while the body runs, of what comes: see `Tally`."""
        self._tally.answered, self._tally.unmarked = answered, unmarked
        try:
            yield
        finally:
            self._tally.answered = self._tally.unmarked = None

    def in_step(self) -> bool:
        """Whether all in a room have got as many."""
        counts = self._by_room()
        return all(min(got) == max(got) for got in counts.values())

    def finish(self) -> None:
        """What counts is over; what it took is known."""
        process = self._crowd.process
        self._took = monotonic() - self._start
        self._own = process_time() - self._own
        after = process.usage() if process is not None else None
        if after is not None and self._usage is not None:
            self._server = after - self._usage

    # What came of it

    def published(self, events: int) -> FanOut:
        """The result, where events were asked for."""
        return self._fan_out(self._each, self.expected, events)

    def heard(self) -> FanOut:
        """The result, where the server published by itself: all should have got the most."""
        most = {room: max(got) for room, got in self._by_room().items()}
        expected = sum(most[room] for room in self._rooms.values())
        return self._fan_out(most, expected, 0)

    def asked(self, depth: int, delays: Sequence[int]) -> Requests:
        """The result of requests."""
        got = self._counts()
        return Requests(requests=sum(got.values()), depth=depth, **self._measured(got, delays))

    def _fan_out(self, each: Counter[str] | dict[str, int], expected: int, events: int) -> FanOut:
        got = self._counts()
        missing = [each[self._rooms[fd]] - count for fd, count in got.items()]
        return FanOut(
            deliveries=sum(got.values()),
            expected=expected,
            triggers=self._triggers,
            events=events,
            lost=sum(count for count in missing if count > 0),
            surplus=-sum(count for count in missing if count < 0),
            **self._measured(got, self._tally.delays),
        )

    def _measured(self, got: Mapping[int, int], delays: Sequence[int]) -> dict[str, Any]:
        """The fields of `Measured`."""
        return {
            "clients": len(got),
            "seconds": self._took or 0.0,
            "fewest": min(got.values()),
            "most": max(got.values()),
            "samples": len(delays),
            "server": self._server,
            "generator": self._own,
            **asdict(Quantiles.of(delays)),
        }

    def _counts(self) -> dict[int, int]:
        return {fd: self._tally.counts[fd] - self._before[fd] for fd in self._rooms}

    def _by_room(self) -> dict[str, list[int]]:
        counts: dict[str, list[int]] = defaultdict(list)
        for fd, count in self._counts().items():
            counts[self._rooms[fd]].append(count)
        return counts

    def _missing(self) -> LoadError:
        got = self._counts().values()
        heard = self._crowd.publisher_heard
        said = f" The publisher last heard {quoted(heard)}." if heard else ""
        return LoadError(
            f"nothing has come for {self._crowd.patience:.0f} s: {self.arrived:,} of "
            f"{self.expected:,} have arrived, between {min(got):,} and {max(got):,} a client."
            f"{said} Does the server send each event to everybody, under the name that is counted?"
        )
