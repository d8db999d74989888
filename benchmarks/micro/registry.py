"""Look-ups: how an event is sent, what answers a request, which family a room is of.

The floor is a look-up in a dictionary.
"""

from __future__ import annotations

from benchmarks.dialects import ROOM
from benchmarks.lbproto_server import candle, server
from benchmarks.micro.operation import Operation, Prepared, calling

__all__ = ["OPERATIONS"]

EVENT, ROUTE, FAMILY = "look up an event", "look up a request", "look up a room"


def _event() -> Prepared:
    return calling(server().registry.emission, candle(1, 190))


def _route() -> Prepared:
    registry = server().registry
    return calling(lambda: registry.routes.get("place_order"))


def _family() -> Prepared:
    return calling(server().registry.room, ROOM)


def _floor() -> Prepared:
    return calling({ROOM: None}.get, ROOM)


OPERATIONS = (
    Operation(EVENT, "floor", _floor, count=20_000),
    Operation(EVENT, "lbproto", _event, count=20_000),
    Operation(ROUTE, "floor", _floor, count=20_000),
    Operation(ROUTE, "lbproto", _route, count=20_000),
    Operation(FAMILY, "floor", _floor, count=20_000),
    Operation(FAMILY, "lbproto", _family, count=20_000),
)
"""What a server looks up for every request and every event."""
