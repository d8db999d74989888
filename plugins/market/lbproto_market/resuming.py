"""After a restart: the bars of periods that were open, put together from finer ones. Pure.

A bar is written when it has closed, so of a period that was open there is none. But what it had
come to is in bars that there are: the minutes of an open hour, and the seconds of its open minute.
Only the open second is written open, when a market stops; one that is killed has lost it, together
with the ids of its trades, and counts these when they are delivered again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import replace

from lbproto_market.bars import Bar, merged
from lbproto_market.cascade import levels
from lbproto_market.resolutions import RESOLUTIONS, Resolution

__all__ = ["NEEDED", "resumed"]

NEEDED = 31
"""Of how many closed bars of the next finer resolution a period consists, at most."""

_PLAN = levels(RESOLUTIONS.values())


def resumed(charts: Mapping[str, Sequence[Bar]], history: int) -> Iterator[tuple[str, Bar]]:
    """One venue's bars as they were, with their resolutions, the finest first, the oldest first.

    Args:
        charts: the newest bars by resolution, oldest first: of closed ones `history` and at least
            `NEEDED`, or all there are; of open ones those of the finest.
        history: how many closed ones of each resolution are wanted.
    """
    open_: list[list[Bar]] = []
    for cut, source, _ in _PLAN:
        bars = charts.get(cut.name, ())
        closed = [bar for bar in bars if bar.closed]
        if source is None:
            open_.append([bar for bar in bars if not bar.closed])
        else:
            finer = (bar for bar in charts.get(_PLAN[source].cut.name, ()) if bar.closed)
            since = cut.opening(cut.period(closed[-1].opening) + 1) if closed else None
            open_.append(_put_together(cut, [*finer, *open_[source]], since))
        for bar in (*closed[-history:], *open_[-1]):
            yield cut.name, bar


def _put_together(cut: Resolution, parts: Sequence[Bar], since: int | None) -> list[Bar]:
    """The open bars that are made of these parts, of those that open then or later."""
    sums: dict[int, Bar] = {}
    for part in parts:
        opening = cut.start(part.opening)
        if since is None or opening >= since:
            known = sums.get(opening)
            whole = part if known is None else merged(known, part)
            sums[opening] = replace(whole, opening=opening, closed=False, revision=0)
    return [sums[opening] for opening in sorted(sums)]
