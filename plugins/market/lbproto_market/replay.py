"""Recorded trades as a feed: once, at their recorded times, or for ever, as if they were now."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from math import inf
from pathlib import Path
from typing import Literal, NoReturn

from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus

from lbproto import Clock, UsageError
from lbproto_market.feeds import Sink
from lbproto_market.playback import Playback, Timeline, extent, first_trade
from lbproto_market.recordings import Recording
from lbproto_market.trades import Trade

__all__ = ["ReplayFeed"]

logger = logging.getLogger(__name__)

# From the end of a loop to the beginning of the next.
_PAUSE_MS = 1000


class ReplayFeed:
    """The trades of a file, in the file's order.

    By default they come at the times they were recorded: the candles are those of that day, the
    last one stays open, and only how fast they come is up to `speed`. It is played once: who comes
    back to it after some time finds it as far on as if it had never stopped. With `loop` the trades
    are moved to now instead: the same ones with the same gaps between them, again and again, each
    time with timestamps and ids of its own, which depend on nothing but the time of day; and some
    loops of history before the first live one.

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
        self.symbols: Mapping[str, Collection[str]] = {symbol: (venue,)}
        self._symbol = symbol
        self._speed = speed
        self._loop = loop
        self._backfill = backfill
        self._recording = Recording(Path(path), venue)
        self._timeline: tuple[Clock, Timeline] | None = None

    @property
    def label(self) -> str:
        """What is replayed, and how."""
        source = f"{self._recording.venue}, {self._recording.path.name}"
        what = f"recorded trades of {self._symbol} ({source})"
        if self._loop:
            return f"{what}, looped and moved to now: no live prices"
        how = {"real": "in real time", "max": "at full speed"}.get(str(self._speed))
        return f"{what}, at their recorded times, {how or f'{self._speed:g} times as fast'}"

    async def check(self) -> None:
        """See `Feed.check`.

        Raises:
            UsageError: the file has no trades, lacks a column, or needs the extra `parquet`.
            OSError, EOFError: it cannot be read.
        """
        await self._first()

    async def run(
        self,
        symbol: str,  # noqa: ARG002 - it has only one
        sink: Sink,
        clock: Clock,
        *,
        task_status: TaskStatus[None] = TASK_STATUS_IGNORED,
    ) -> None:
        """Replay the file; see `Feed.run`.

        Raises:
            UsageError, OSError, EOFError: see `check`; also where it cannot be read to its end.
        """
        logger.info("replaying %s", self.label)
        told = False

        def caught_up() -> None:
            nonlocal told
            if not told:
                told = True
                task_status.started()

        playback = Playback(self._recording, sink, clock, caught_up)
        if self._loop:
            await self._run_for_ever(playback, clock)
        first = await self._first()
        await playback.play(self._timeline_from(first.timestamp_ms, clock))
        caught_up()
        logger.info("the replay of %s has come to its end", self._recording.path.name)

    async def _first(self) -> Trade:
        first = await first_trade(self._recording)
        if first is None:
            raise self._empty()
        return first

    def _empty(self) -> UsageError:
        return UsageError(f"{self._recording.path} has no trades")

    def _timeline_from(self, first_ms: int, clock: Clock) -> Timeline | None:
        """Event time: it goes on while nobody needs the feed. None: all is played at once."""
        if self._speed == "max":
            return None
        if self._timeline is None or self._timeline[0] is not clock:
            factor = 1.0 if self._speed == "real" else float(self._speed)
            self._timeline = clock, Timeline(clock, first_ms, factor)
        return self._timeline[1]

    async def _run_for_ever(self, playback: Playback, clock: Clock) -> NoReturn:
        """Play loop after loop; each begins at a multiple of its length since the Unix epoch.

        So a loop that is played again, on whatever node, is the same again.
        """
        reach = await extent(self._recording)
        if reach is None:
            raise self._empty()
        length_ms = reach.last_ms - reach.first_ms
        period_ms = length_ms + _PAUSE_MS
        ids = reach.last_id - reach.first_id + 1
        now_ms = int(clock.now() * 1000)
        loop = now_ms // period_ms - self._backfill
        while True:
            # Looked up each time: after the machine slept or its clock was set, now is elsewhere.
            now_ms = max(now_ms, int(clock.now() * 1000))
            timeline = Timeline(clock, now_ms)
            begin_ms = loop * period_ms
            await playback.play(
                timeline,
                later_ms=begin_ms - reach.first_ms,
                higher_id=loop * ids - reach.first_id,
            )
            now_ms = timeline.now_ms()
            loop = max(loop + 1, int(clock.now() * 1000) // period_ms - self._backfill)
