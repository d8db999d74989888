"""That a feed is out: what is told of it."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Outage"]


class Outage(NamedTuple):
    """A feed has died, and is tried again."""

    symbol: str
    feed: str
    """Its label."""
    retry_after: int
    """Until it is tried again, in whole seconds."""
