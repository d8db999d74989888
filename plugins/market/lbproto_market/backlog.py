"""What waits to be written to an archive: bounded, the newest state of each candle. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from lbproto_market.bars import Bar
from lbproto_market.changes import Settled
from lbproto_market.trades import Trade

__all__ = ["BASE", "Backlog", "Batch", "Key"]

BASE = "1s"
"""The resolution with which trades are remembered."""

_SECOND = 1000


class Key(NamedTuple):
    """Which candle."""

    symbol: str
    venue: str
    resolution: str
    opening: int


Seconds: TypeAlias = dict[tuple[str, str, int], list[int]]
"""Ids of trades by symbol, venue and second (its opening, Unix milliseconds)."""


class Batch(NamedTuple):
    """What is written together."""

    moments: dict[str, int]
    """How far event time had come, by symbol."""
    bars: dict[Key, Bar]
    ids: Seconds


class Backlog:
    """What waits.

    The ids of trades wait here until the second they are in has closed, or its candle is written
    open: earlier than their candle they would be taken for counted after a crash.

    Args:
        most: how many candles may wait. If there are more, those that have waited longest are lost.
        most_ids: how many ids may; if there are more, the seconds that have waited longest are
            lost, candles and all.
    """

    def __init__(self, most: int, most_ids: int) -> None:
        self.lost = 0
        """Candles that were given up."""
        self._most = most
        self._most_ids = most_ids
        self._moments: dict[str, int] = {}
        self._taken: dict[str, int] = {}
        self._bars: dict[Key, Bar] = {}
        self._ids: Seconds = {}
        self._ids_count = 0
        self._edges: dict[str, int] = {}  # by symbol: the seconds before it have closed

    def __len__(self) -> int:
        """How many candles wait."""
        return len(self._bars)

    def is_empty(self) -> bool:
        """Whether nothing waits, not even that time has gone on."""
        return not self._bars and self._moments == self._taken

    def put(
        self, symbol: str, now_ms: int, settled: Sequence[Settled], trades: Sequence[Trade]
    ) -> None:
        """Add what has changed; see `Archive.write`."""
        self._moments[symbol] = max(now_ms, self._moments.get(symbol, 0))
        for trade in trades:
            second = trade.timestamp_ms // _SECOND * _SECOND
            self._ids.setdefault((symbol, trade.venue, second), []).append(trade.id)
        self._ids_count += len(trades)
        for venue, resolution, bar in settled:
            key = Key(symbol, venue, resolution, bar.opening)
            self._bars.pop(key, None)  # the newest state comes last, and is lost last
            self._bars[key] = bar
            if resolution == BASE and bar.closed:
                self._edges[symbol] = max(bar.opening + _SECOND, self._edges.get(symbol, 0))
        self._give_up()

    def take(self) -> Batch:
        """What can be written now; it waits no more."""
        ids = {
            key: numbers
            for key, numbers in self._ids.items()
            if key[2] < self._edges.get(key[0], 0) or Key(*key[:2], BASE, key[2]) in self._bars
        }
        for key, numbers in ids.items():
            del self._ids[key]
            self._ids_count -= len(numbers)
        self._taken = self._moments.copy()
        batch = Batch(self._taken, self._bars, ids)
        self._bars = {}
        return batch

    def put_back(self, batch: Batch) -> None:
        """Have a batch wait again that could not be written; what came since is newer."""
        self._taken = {}
        self._bars = {**batch.bars, **self._bars}
        ids = {key: numbers.copy() for key, numbers in batch.ids.items()}
        for key, numbers in self._ids.items():
            ids.setdefault(key, []).extend(numbers)
        self._ids = ids
        self._ids_count = sum(map(len, ids.values()))
        self._give_up()

    def holds(self, symbol: str, begin_ms: int, end_ms: int) -> bool:
        """Whether a candle of a market that opens in [begin, end) waits."""
        return any(key.symbol == symbol and begin_ms <= key.opening < end_ms for key in self._bars)

    def _give_up(self) -> None:
        while len(self._bars) > self._most:
            del self._bars[next(iter(self._bars))]
            self.lost += 1
        while self._ids_count > self._most_ids:
            key = next(iter(self._ids))
            self._ids_count -= len(self._ids.pop(key))
            if self._bars.pop(Key(*key[:2], BASE, key[2]), None) is not None:
                self.lost += 1
