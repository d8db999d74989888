"""Simulated trades as a feed: nothing in them is real, and they say so."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus

from lbproto import Clock
from lbproto_market.feeds import Sink
from lbproto_market.playback import Timeline
from lbproto_market.trades import Trade
from lbproto_market.walk import Walk

__all__ = ["SimulatedFeed"]

_SYMBOLS = {"BTC-USDT": 65_000.0, "ETH-USDT": 3_200.0, "SOL-USDT": 150.0}
_VENUES = ("simulated-a", "simulated-b")
_STEP = 0.1  # seconds between two looks at the clock
_MAX_TRADES = 100.0  # a second
_SECONDS_AT_ONCE = 20  # of history, before other tasks get their turn


class SimulatedFeed:
    """Made-up trades of several symbols at several venues, as if they were made now.

    The same seed makes the same trades at the same time of day, whenever and wherever it is
    started: prices that walk at random, a little apart where they are bought and sold, in busy
    times and quiet ones, most of them small.

    Args:
        symbols: each with the price about which it moves; by default three.
        venues: where they are traded, by names that say that they are made up.
        seed: another one makes another history.
        rate: trades a second of each symbol at each venue, on average; above 0, at most 100.
        history: seconds of trades that are there at the start, 0 or more.

    Raises:
        ValueError: a number is outside those bounds.
    """

    def __init__(
        self,
        symbols: Mapping[str, float] | None = None,
        *,
        venues: Sequence[str] = _VENUES,
        seed: int = 1,
        rate: float = 3.0,
        history: float = 600.0,
    ) -> None:
        prices = _SYMBOLS if symbols is None else symbols
        if not 0 < rate <= _MAX_TRADES:
            raise ValueError(f"a rate is above 0 and at most {_MAX_TRADES:g}, not {rate!r}")
        if not 0 <= history < float("inf"):
            raise ValueError(f"a history is of 0 seconds or more, not {history!r}")
        if odd := [price for price in prices.values() if not 1e-9 < price < 1e9]:
            raise ValueError(f"a price is above 0 and not beyond measure: {odd}")
        self.symbols: Mapping[str, Collection[str]] = dict.fromkeys(prices, tuple(venues))
        self._venues = tuple(venues)
        self._seed = seed
        self._rate = rate
        self._history_ms = int(history * 1000)
        self._prices = dict(prices)

    @property
    def label(self) -> str:
        """That it is simulated, and of what."""
        return f"simulated trades (seed {self._seed}): no real prices"

    async def check(self) -> None:
        """See `Feed.check`; there is nothing to keep it from running."""

    async def run(
        self,
        symbol: str,
        sink: Sink,
        clock: Clock,
        *,
        task_status: TaskStatus[None] = TASK_STATUS_IGNORED,
    ) -> None:
        """Make trades up until cancelled; see `Feed.run`."""
        walk = Walk(self._seed, symbol, self._prices[symbol], self._rate)
        now_ms = int(clock.now() * 1000)
        timeline = Timeline(clock, now_ms)
        done_ms = now_ms - self._history_ms
        told = False
        while True:
            # Forward with the clock also where that is set; back it does not go.
            now_ms = max(timeline.now_ms(), int(clock.now() * 1000))
            done_ms = max(done_ms, now_ms - self._history_ms - 1000)
            await self._play(walk, sink, clock, done_ms, now_ms)
            done_ms = now_ms
            sink.advance(now_ms)
            if not told:
                told = True
                task_status.started()
            await clock.sleep(_STEP)

    async def _play(self, walk: Walk, sink: Sink, clock: Clock, begin_ms: int, end_ms: int) -> None:
        """Put in what happens in [begin, end) Unix milliseconds."""
        for number, second in enumerate(range(begin_ms // 1000, (end_ms - 1) // 1000 + 1)):
            trades = self._second(walk, second)
            sink.add([trade for trade in trades if begin_ms <= trade.timestamp_ms < end_ms])
            if number % _SECONDS_AT_ONCE == _SECONDS_AT_ONCE - 1:
                await clock.sleep(0)

    def _second(self, walk: Walk, second: int) -> list[Trade]:
        return sorted(trade for venue in self._venues for trade in walk.trades(second, venue))
