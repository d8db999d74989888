"""What happens to an event when a slow client's outbox is full; chosen per event."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import Enum
from typing import Any

__all__ = ["Overflow", "OverflowPolicy", "conflate", "disconnect", "drop_oldest"]


class Overflow(Enum):
    """The three kinds of policy."""

    DISCONNECT = "disconnect"
    DROP_OLDEST = "drop_oldest"
    CONFLATE = "conflate"


@dataclass(frozen=True, slots=True)
class OverflowPolicy:
    """A policy; for conflation, with the function that gives an event's key."""

    overflow: Overflow
    key: Callable[[Any], Hashable] | None = None


disconnect = OverflowPolicy(Overflow.DISCONNECT)
"""Close the slow client's transport, saying why; it may come back. The default: nothing is lost
without the client's knowledge."""

drop_oldest = OverflowPolicy(Overflow.DROP_OLDEST)
"""Drop the oldest queued events of this policy to make room, counted."""


def conflate(key: Callable[[Any], Hashable]) -> OverflowPolicy:
    """Keep only the newest queued event of each key, whether or not the outbox is full.

    Args:
        key: from the event; None for one that may not be replaced (a candle that has closed).
    """
    return OverflowPolicy(Overflow.CONFLATE, key)
