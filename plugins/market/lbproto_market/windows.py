"""Windows: which part of a chart a request asks for."""

from __future__ import annotations

from lbproto import Duration, LimitExceeded, Span, span_bounds
from lbproto_market.resolutions import Resolution

__all__ = ["MAX_CANDLES", "MAX_PERIODS", "parse_window"]

MAX_CANDLES = 1_000
"""The most candles that one answer holds."""

MAX_PERIODS = 1_000_000
"""The most periods that a window may span, whether or not they have candles.

A wider one is nearly always seconds taken for milliseconds. Refusing it at once is kinder than
answering it until the history has grown.
"""


def parse_window(window: Duration | Span, resolution: Resolution, now_ms: int) -> tuple[int, int]:
    """The window's bounds [begin, end) in Unix milliseconds: candles that open in it are meant.

    Args:
        window: a duration that looks back from now, or a span. A duration always takes in the
            current period, however short it is.
        resolution: what the candles are of.
        now_ms: how far the chart has come, Unix milliseconds.

    Raises:
        InvalidRequest: as `lbproto.span_bounds` does.
        LimitExceeded: it spans more than `MAX_PERIODS` periods.
    """
    begin, end = span_bounds(window, now_ms)
    if isinstance(window, str):
        begin = min(begin, resolution.opening(resolution.period(now_ms)))
    periods = resolution.period(end - 1) - resolution.period(begin) + 1
    if periods > MAX_PERIODS:
        raise LimitExceeded(
            f"the window spans {periods:,} periods of {resolution.name}, at most {MAX_PERIODS:,} "
            "are allowed: narrow it, or take a coarser resolution - at `$.window`"
        )
    return begin, end
