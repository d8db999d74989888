"""Recorded trades handed to a sink, each when its time has come."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import NamedTuple

from anyio import to_thread

from lbproto import Clock
from lbproto_market.feeds import Sink
from lbproto_market.recordings import Recording
from lbproto_market.trades import Trade

__all__ = ["Extent", "Playback", "Timeline", "extent", "first_trade"]

# Trades handed over before other tasks get their turn: about two milliseconds of work.
_STEP = 100

# Waiting for less than event time can tell apart would be waiting for nothing.
_SHORTEST_WAIT = 0.001


class Extent(NamedTuple):
    """From where to where a recording goes, in time and in ids; the bounds are in it."""

    first_ms: int
    last_ms: int
    first_id: int
    last_id: int


class Timeline:
    """Event time that passes as the clock does, or faster.

    Args:
        clock: what it follows.
        begin_ms: the event time of this moment, Unix milliseconds.
        factor: how many seconds of it pass in one of the clock's.
    """

    def __init__(self, clock: Clock, begin_ms: int, factor: float = 1.0) -> None:
        self._clock = clock
        self._begin_ms = begin_ms
        self._since = clock.monotonic()
        self._factor = factor

    def now_ms(self) -> int:
        """How far event time has come, Unix milliseconds."""
        passed = (self._clock.monotonic() - self._since) * self._factor
        return self._begin_ms + int(passed * 1000)

    async def wait_until(self, milliseconds: int) -> None:
        """Wait until event time is there, or a little less; always lets other tasks run."""
        at = self._since + (milliseconds - self._begin_ms) / 1000 / self._factor
        await self._clock.sleep(max(at - self._clock.monotonic(), _SHORTEST_WAIT))


async def first_trade(recording: Recording) -> Trade | None:
    """A recording's first trade, read in a worker thread."""
    with closing(recording.batches()) as batches:
        return next(iter(await _next(batches)), None)


async def extent(recording: Recording) -> Extent | None:
    """How far a recording reaches; None if it has no trades. Reads all of it."""
    parts: list[Extent] = []
    with closing(recording.batches()) as batches:
        while trades := await _next(batches):
            times = [trade.timestamp_ms for trade in trades]
            ids = [trade.id for trade in trades]
            parts.append(Extent(min(times), max(times), min(ids), max(ids)))
    if not parts:
        return None
    first_ms, last_ms, first_id, last_id = zip(*parts, strict=True)
    return Extent(min(first_ms), max(last_ms), min(first_id), max(last_id))


class Playback:
    """One recording on its way to one sink. The file is read in worker threads, bit by bit.

    Args:
        recording: what to play.
        sink: takes its trades.
        clock: for letting other tasks run.
        caught_up: called when all is there whose time has come, again and again.
    """

    def __init__(
        self, recording: Recording, sink: Sink, clock: Clock, caught_up: Callable[[], None]
    ) -> None:
        self._recording = recording
        self._sink = sink
        self._clock = clock
        self._caught_up = caught_up

    async def play(
        self, timeline: Timeline | None, *, later_ms: int = 0, higher_id: int = 0
    ) -> None:
        """Play it from beginning to end.

        Args:
            timeline: when each trade's time has come; None: at once.
            later_ms: added to every timestamp.
            higher_id: added to every id.
        """
        with closing(self._recording.batches()) as batches:
            while trades := await _next(batches):
                if later_ms or higher_id:
                    trades = [
                        trade._replace(
                            timestamp_ms=trade.timestamp_ms + later_ms, id=trade.id + higher_id
                        )
                        for trade in trades
                    ]
                if timeline is None:
                    await self._play_at_once(trades)
                else:
                    await self._play_in_time(trades, timeline)

    async def _play_at_once(self, trades: Sequence[Trade]) -> None:
        for start in range(0, len(trades), _STEP):
            step = trades[start : start + _STEP]
            self._sink.add(step, max(trade.timestamp_ms for trade in step))
            await self._clock.sleep(0)

    async def _play_in_time(self, trades: Sequence[Trade], timeline: Timeline) -> None:
        start = 0
        while start < len(trades):
            now = timeline.now_ms()
            end = start
            while end < min(len(trades), start + _STEP) and trades[end].timestamp_ms <= now:
                end += 1
            if end > start:
                self._sink.add(trades[start:end], now)
                start = end
                await self._clock.sleep(0)
            else:
                # Only here is it known that nothing earlier is still to come.
                self._sink.advance(now)
                self._caught_up()
                # Every candle ends with some second, and closes then also if nothing is traded.
                whole_second = (now // 1000 + 1) * 1000
                await timeline.wait_until(min(trades[start].timestamp_ms, whole_second))


async def _next(batches: Iterator[list[Trade]]) -> list[Trade]:
    """The next batch; empty after the last. Not to be cancelled midway: a thread is on it."""
    return await to_thread.run_sync(next, batches, [])
