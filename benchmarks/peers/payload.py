"""What the servers of a comparison share: a candle, as exchanges publish them, and a broker."""

from __future__ import annotations

import time
from itertools import count
from typing import Any

__all__ = ["BROKER", "FIXED", "candle", "filler", "text"]

BROKER = "LBPROTO_BENCH_BROKER"
"""The variable of the environment with the URL of the Redis between several nodes, if there is."""

_numbers = count()
_TEXT = (
    '{"t":%d,"seq":%d,"s":"BTCUSDT","k":{"i":"1m","o":"67012.51000000","c":"67013.22000000",'
    '"h":"67020.00000000","l":"67000.10000000","v":"12.34567000","n":153,"x":false},"f":"%s"}'
)
_KLINE = {
    "i": "1m",
    "o": "67012.51000000",
    "c": "67013.22000000",
    "h": "67020.00000000",
    "l": "67000.10000000",
    "v": "12.34567000",
    "n": 153,
    "x": False,
}

FIXED = len(_TEXT % (10**14, 10**4, ""))
"""Bytes of a payload with nothing to fill it up, give or take some digits."""


def filler(size: int) -> str:
    """What makes a payload `size` bytes long; nothing where it is as long already."""
    return "x" * (size - FIXED)


def text(size: int) -> str:
    """A payload, for servers that send text."""
    return _TEXT % (time.monotonic_ns(), next(_numbers), filler(size))


def candle(size: int) -> dict[str, Any]:
    """The same, for those that encode what they send."""
    return {
        "t": time.monotonic_ns(),
        "seq": next(_numbers),
        "s": "BTCUSDT",
        "k": _KLINE,
        "f": filler(size),
    }
