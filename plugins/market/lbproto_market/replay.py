"""Recorded trades as a feed: once, at their recorded times, or for ever, as if they were now."""

from __future__ import annotations

import logging
from math import inf
from pathlib import Path
from typing import Literal

from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus

from lbproto import Clock, UsageError
from lbproto_market.feeds import Sink
from lbproto_market.playback import Playback, Timeline
from lbproto_market.recordings import Recording

__all__ = ["ReplayFeed"]

logger = logging.getLogger(__name__)

# From the end of a loop to the beginning of the next.
_PAUSE_MS = 1000


class ReplayFeed:
    """The trades of a file, in the file's order.

    By default they come at the times they were recorded: the candles are those of that day, the
    last one stays open, and only how fast they come is up to `speed`. With `loop` they are moved to
    now instead: the same trades with the same gaps between them, again and again, each time with
    timestamps and ids of its own, and some loops of history before the first live one.

    Args:
        path: see `Recording`.
        symbol: what was traded; without a colon.
        venue: where.
        speed: `real` keeps the gaps between the trades, a number shortens them by that factor,
            `max` waits for nothing.
        loop: whether to repeat them for ever, moved to now; at speed `real` only.
        backfill: how many loops of history a looped recording starts with.

    Raises:
        ValueError: arguments that make no sense, or not together.
    """

    def __init__(
        self,
        path: str | Path,
        symbol: str,
        *,
        venue: str = "recording",
        speed: Literal["real", "max"] | float = "real",
        loop: bool = False,
        backfill: int = 1,
    ) -> None:
        if not (speed in ("real", "max") if isinstance(speed, str) else 0 < speed < inf):
            raise ValueError(f"a speed is 'real', 'max' or a factor above 0, not {speed!r}")
        if loop and speed != "real":
            raise ValueError("a recording that is looped as if it were now runs at speed 'real'")
        self.symbols = (symbol,)
        self.venues = (venue,)
        self._speed = speed
        self._loop = loop
        self._backfill = backfill
        self._recording = Recording(Path(path), venue)

    @property
    def label(self) -> str:
        """What is replayed, and how."""
        source = f"{self.venues[0]}, {self._recording.path.name}"
        what = f"recorded trades of {self.symbols[0]} ({source})"
        if self._loop:
            return f"{what}, looped and moved to now: no live prices"
        how = {"real": "in real time", "max": "at full speed"}.get(str(self._speed))
        return f"{what}, at their recorded times, {how or f'{self._speed:g} times as fast'}"

    async def run(
        self, sink: Sink, clock: Clock, *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED
    ) -> None:
        """Replay the file; see `Feed.run`.

        Raises:
            UsageError: the file has no trades, lacks a column, or needs the extra `parquet`.
            OSError, EOFError: it cannot be read, or not to its end.
        """
        logger.info("replaying %s", self.label)
        playback = Playback(self._recording, self.symbols[0], sink, clock)
        if self._loop:
            await self._run_for_ever(playback, sink, clock, task_status)
            return
        first = await playback.first()
        if first is None:
            raise UsageError(f"{self._recording.path} has no trades")
        task_status.started()
        if self._speed == "max":
            timeline = None
        else:
            factor = 1.0 if self._speed == "real" else float(self._speed)
            timeline = Timeline(clock, first.timestamp_ms, factor)
        await playback.play(timeline)
        logger.info("the replay of %s has come to its end", self._recording.path.name)

    async def _run_for_ever(
        self, playback: Playback, sink: Sink, clock: Clock, task_status: TaskStatus[None]
    ) -> None:
        extent = await playback.extent()
        if extent is None:
            raise UsageError(f"{self._recording.path} has no trades")
        length_ms = extent.last_ms - extent.first_ms
        ids = extent.last_id - extent.first_id + 1
        now_ms = int(clock.now() * 1000)
        for loop in range(self._backfill):
            until_now = self._backfill - 1 - loop
            end_ms = now_ms - until_now * (length_ms + _PAUSE_MS)
            await playback.play(None, later_ms=end_ms - extent.last_ms, higher_id=loop * ids)
        sink.advance(now_ms)
        task_status.started()
        loop = self._backfill
        while True:
            # Looked up each time: after the machine slept or its clock was set, now is elsewhere.
            now_ms = max(now_ms, int(clock.now() * 1000))
            begin_ms = now_ms + _PAUSE_MS
            await playback.play(
                Timeline(clock, now_ms),
                later_ms=begin_ms - extent.first_ms,
                higher_id=loop * ids,
            )
            now_ms = begin_ms + length_ms
            loop += 1
