"""History: the closed bars of one venue in one resolution, the oldest first, as machine integers.

A bar as an object takes about a kilobyte, most of it for its decimals. Here it is a row of ten
numbers of 64 bits, with its opening and its volume in columns of their own: 96 bytes. A price is
held as a whole multiple of a power of ten, which is the finest that any price has needed so far, a
volume likewise: exact, and when a finer one comes, all are counted anew. Where a number is beyond
64 bits, its array becomes a list of Python's integers: then a bar takes 140 bytes if that is so of
the volumes, 350 if of the prices. So no number is refused and none is rounded.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from typing import TypeAlias

from lbproto_market.bars import EXACT, Bar, Mark

__all__ = ["History"]

_Numbers: TypeAlias = "array[int] | list[int]"

# A row: when the first trade was and its id, the same of the last; the prices of these, the highest
# and the lowest; how many trades there were; the revision.
_WIDTH = 10
_PRICES = range(4, 8)


class History:
    """Closed bars, in the order of their periods.

    Args:
        venue: where all their trades were made.
    """

    __slots__ = ("_openings", "_places", "_rows", "_venue", "_volume_places", "_volumes")

    def __init__(self, venue: str) -> None:
        self._venue = venue
        self._openings = array("q")
        self._rows: _Numbers = array("q")
        self._volumes: _Numbers = array("q")
        # How many decimal places make each price, and each volume, a whole number.
        self._places = 0
        self._volume_places = 0

    def __len__(self) -> int:
        return len(self._openings)

    def since(self, count: int) -> int:
        """When the oldest of the newest `count` bars opens, in Unix milliseconds; they exist."""
        return self._openings[-count]

    def find(self, opening: int) -> Bar | None:
        """The bar of the period that starts then."""
        place = bisect_left(self._openings, opening)
        if place < len(self._openings) and self._openings[place] == opening:
            return self._bar(place)
        return None

    def between(self, begin: int, end: int) -> Iterator[Bar]:
        """The bars that open in [begin, end) Unix milliseconds, oldest first.

        Read one by one: go through them before anything changes.
        """
        first = bisect_left(self._openings, begin)
        return map(self._bar, range(first, bisect_left(self._openings, end, first)))

    def newest(self, count: int, end: int) -> Iterator[Bar]:
        """The newest of those that open before `end`; else as `between`."""
        last = bisect_left(self._openings, end)
        return map(self._bar, range(max(0, last - count), last))

    def put(self, bar: Bar) -> None:
        """Take a bar in; it replaces the one of its period, if there is one."""
        row, volume = self._row(bar), self._volume(bar.volume)
        openings, opening = self._openings, bar.opening
        if not openings or opening > openings[-1]:
            openings.append(opening)
            self._rows = _append(self._rows, row)
            self._volumes = _append(self._volumes, [volume])
            return
        place = bisect_left(openings, opening)
        replaced = int(openings[place] == opening)
        if not replaced:
            openings.insert(place, opening)
        begin, end = place, place + replaced
        self._rows = _put(self._rows, slice(begin * _WIDTH, end * _WIDTH), row)
        self._volumes = _put(self._volumes, slice(begin, end), [volume])

    def drop_before(self, opening: int) -> None:
        """Let go of all bars that open earlier."""
        count = bisect_left(self._openings, opening)
        del self._openings[:count], self._rows[: count * _WIDTH], self._volumes[:count]

    def _row(self, bar: Bar) -> list[int]:
        first, last, places = bar.first, bar.last, self._places
        open_, close = _units(first.price, places), _units(last.price, places)
        high, low = _units(bar.high, places), _units(bar.low, places)
        if open_ is None or close is None or high is None or low is None:
            self._places = max(map(_places, (first.price, last.price, bar.high, bar.low)))
            factor = 10 ** (self._places - places)
            for column in _PRICES:
                self._rows = _times(self._rows, slice(column, None, _WIDTH), factor)
            return self._row(bar)
        return [
            *(first.timestamp_ms, first.id, last.timestamp_ms, last.id),
            *(open_, close, high, low, bar.trades, bar.revision),
        ]

    def _volume(self, volume: Decimal) -> int:
        units = _count(volume, self._volume_places)
        if units is None:
            places = _places(volume)
            factor = 10 ** (places - self._volume_places)
            self._volumes = _times(self._volumes, slice(None), factor)
            self._volume_places = places
            return self._volume(volume)
        return units

    def _bar(self, place: int) -> Bar:
        row = self._rows[place * _WIDTH : (place + 1) * _WIDTH]
        first_ms, first_id, last_ms, last_id, open_, close, high, low, trades, revision = row
        venue, places = self._venue, self._places
        return Bar(
            self._openings[place],
            Mark(first_ms, first_id, venue, _price(open_, places)),
            Mark(last_ms, last_id, venue, _price(close, places)),
            _price(high, places),
            _price(low, places),
            _value(self._volumes[place], self._volume_places),
            trades,
            closed=True,
            revision=revision,
        )


def _count(value: Decimal, places: int) -> int | None:
    """How many units of so many decimal places a value has; None if that is not a whole number."""
    scaled = EXACT.scaleb(value, places)
    units = int(scaled)
    return units if units == scaled else None


def _value(units: int, places: int) -> Decimal:
    """What so many units of so many decimal places are."""
    return EXACT.scaleb(Decimal(units), -places)


# The same prices come again and again, and this is most of what it costs to keep a bar.
_units = lru_cache(maxsize=4096)(_count)
_price = lru_cache(maxsize=4096)(_value)


def _places(value: Decimal) -> int:
    """The fewest decimal places that write a value exactly."""
    _, denominator = value.as_integer_ratio()
    places = 0
    while 10**places % denominator:
        places += 1
    return places


def _times(numbers: _Numbers, part: slice, factor: int) -> _Numbers:
    """Numbers of which a part is multiplied."""
    finer = [number * factor for number in numbers[part]]
    return _put(numbers, part, finer)


def _append(numbers: _Numbers, new: list[int]) -> _Numbers:
    """As `_put`, at the end."""
    if isinstance(numbers, array):
        try:
            numbers.fromlist(new)  # all of it or, if that fails, none
        except OverflowError:
            numbers = list(numbers)
        else:
            return numbers
    numbers.extend(new)
    return numbers


def _put(numbers: _Numbers, part: slice, new: list[int]) -> _Numbers:
    """Numbers with new ones in the place of a part, as machine integers as long as they fit."""
    if isinstance(numbers, array):
        try:
            numbers[part] = array("q", new)
        except OverflowError:
            numbers = list(numbers)
        else:
            return numbers
    numbers[part] = new
    return numbers
