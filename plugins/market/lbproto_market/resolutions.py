"""Resolutions: how time is cut into the periods of a chart.

All periods are cut in UTC. Those up to a day start at multiples of their length since the Unix
epoch, a week starts on Monday, a month on its first day.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from lbproto import NotFound

__all__ = ["RESOLUTIONS", "Resolution", "parse_resolution", "spellings"]

_SECOND = 1000
_MINUTE = 60 * _SECOND
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_WEEK = 7 * _DAY


@dataclass(frozen=True, slots=True)
class Resolution:
    """One way of cutting time; periods are numbered, so that they can be counted."""

    name: str
    """As on the wire: `1m` is a minute, `1M` a month."""
    length_ms: int | None
    """None for the month, whose length varies."""
    first_ms: int = 0
    """A moment at which some period starts."""

    def period(self, milliseconds: int) -> int:
        """The number of the period that holds this moment (Unix milliseconds, from 1970 on)."""
        if self.length_ms is None:
            moment = datetime.fromtimestamp(milliseconds // 1000, UTC)
            return moment.year * 12 + moment.month - 1
        return (milliseconds - self.first_ms) // self.length_ms

    def opening(self, period: int) -> int:
        """The moment at which a period starts and the one before it ends, in Unix milliseconds."""
        if self.length_ms is None:
            year, month = divmod(period, 12)
            return int(datetime(year, month + 1, 1, tzinfo=UTC).timestamp()) * 1000
        return period * self.length_ms + self.first_ms

    def start(self, milliseconds: int) -> int:
        """When the period starts that holds this moment, both in Unix milliseconds."""
        if self.length_ms is None:
            return self.opening(self.period(milliseconds))
        return milliseconds - (milliseconds - self.first_ms) % self.length_ms

    def bounds(self, milliseconds: int) -> tuple[int, int]:
        """When the period starts that holds this moment, and when the next one does."""
        if self.length_ms is None:
            period = self.period(milliseconds)
            return self.opening(period), self.opening(period + 1)
        start = milliseconds - (milliseconds - self.first_ms) % self.length_ms
        return start, start + self.length_ms

    def holds(self, finer: Resolution) -> bool:
        """Whether each period consists of whole periods of the other."""
        if finer.length_ms is None:
            return False
        length_ms = _DAY if self.length_ms is None else self.length_ms
        offset_ms = self.first_ms - finer.first_ms
        return length_ms % finer.length_ms == 0 == offset_ms % finer.length_ms


# The epoch was a Thursday; the first Monday after it is four days later.
_ALL = (
    Resolution("1s", _SECOND),
    Resolution("5s", 5 * _SECOND),
    Resolution("15s", 15 * _SECOND),
    Resolution("1m", _MINUTE),
    Resolution("5m", 5 * _MINUTE),
    Resolution("15m", 15 * _MINUTE),
    Resolution("30m", 30 * _MINUTE),
    Resolution("1h", _HOUR),
    Resolution("4h", 4 * _HOUR),
    Resolution("1d", _DAY),
    Resolution("1w", _WEEK, first_ms=4 * _DAY),
    Resolution("1M", None),
)

RESOLUTIONS: dict[str, Resolution] = {resolution.name: resolution for resolution in _ALL}
"""Every resolution by its name, the finest first."""

# TradingView counts minutes in plain numbers and writes the other units in capitals. Its `1M` is a
# month, as ours.
_TRADINGVIEW = {
    "1S": "1s", "5S": "5s", "15S": "15s", "S": "1s",
    "1": "1m", "5": "5m", "15": "15m", "30": "30m", "60": "1h", "240": "4h",
    "1D": "1d", "D": "1d", "1W": "1w", "W": "1w", "M": "1M",
}  # fmt: skip


def parse_resolution(name: str) -> Resolution:
    """The resolution of this name, in our spelling or TradingView's.

    Raises:
        NotFound: there is none; the message names those that exist.
    """
    try:
        return RESOLUTIONS[_TRADINGVIEW.get(name, name)]
    except KeyError:
        known = ", ".join(RESOLUTIONS)
        raise NotFound(f"no resolution {name!r}; there are: {known}") from None


def spellings(name: str) -> list[str]:
    """All ways to write a resolution, the given name, which is ours, first."""
    return [name, *(theirs for theirs, ours in _TRADINGVIEW.items() if ours == name)]
