"""Gaps: periods without a trade, shown as candles that stand still where the last trade left them.

A filled period is not kept: it follows from the bar before it, so it is right by construction when
that bar is amended. It has the revision of that bar; a late trade of its own makes a real bar with
a revision one higher.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from lbproto_market.bars import Bar
from lbproto_market.resolutions import Resolution

__all__ = ["filled", "needed"]

_NOTHING = Decimal(0)


def filled(bars: Iterable[Bar], cut: Resolution, begin: int, end: int, most: int) -> Iterator[Bar]:
    """Closed bars, oldest first, and among them the gaps after each of them, filled.

    What opens before `begin` is left out, but for what follows from it.

    Args:
        bars: in the order of their periods.
        cut: what they are of.
        begin: in Unix milliseconds.
        end: how far the last one's gap goes, Unix milliseconds; periods that open before it.
        most: how many periods after a trade are filled; a market that stands still longer is
            closed, not quiet. 0: none.
    """
    before: Bar | None = None
    for bar in bars:
        if before is not None and most:
            yield from _gap(before, cut, begin, bar.opening, most)
        if bar.opening >= begin:
            yield bar
        before = bar
    if before is not None and most:
        yield from _gap(before, cut, begin, end, most)


def needed(bars: Sequence[Bar], cut: Resolution, end: int, most: int, count: int) -> Sequence[Bar]:
    """The newest of these bars: as few as, with their gaps filled, make at least `count`.

    For the other arguments see `filled`.
    """
    after, found = cut.period(end), 0
    for place in reversed(range(len(bars))):
        period = cut.period(bars[place].opening)
        found += 1 + min(after - period - 1, most)
        if found >= count:
            return bars[place:]
        after = period
    return bars


def _gap(before: Bar, cut: Resolution, begin: int, end: int, most: int) -> Iterator[Bar]:
    last, period = before.last, cut.period(before.opening)
    first = period + 1 if begin <= before.opening else cut.period(begin)
    for number in range(max(period + 1, first), period + 1 + most):
        opening = cut.opening(number)
        if opening >= end:
            return
        if opening < begin:
            continue
        yield Bar(opening, last, last, last.price, last.price, _NOTHING, 0, True, before.revision)
