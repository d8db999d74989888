"""An event on its way to the other nodes, as it travels by pub/sub."""

from __future__ import annotations

from collections.abc import Collection

import msgspec
from msgspec import Raw

from lbproto.events import Event
from lbproto.registry import RESERVED
from lbproto.wire.formats import msgpack_encoder

__all__ = ["Forwarded", "beside", "forward", "forwarded", "sids"]


def beside(room: str) -> str:
    """The channel of what is kept for those who miss it, and delivered by no node's log."""
    return f"{RESERVED}beside:{room}"


def sids(except_: str | Collection[str]) -> Collection[str]:
    """The ids of the sessions that a broadcast excludes, as given by the caller."""
    return (except_,) if isinstance(except_, str) else frozenset(except_)


class Forwarded(msgspec.Struct, array_like=True):
    """A broadcast to a room, from another node.

    Attributes:
        event: its name.
        except_: ids of sessions that do not get it.
        payload: the event, in MessagePack.
        trace: what it was emitted in, as a W3C `traceparent`, where that is recorded.
    """

    event: str
    except_: tuple[str, ...]
    payload: Raw
    trace: str | None = None


def forward(event: Event, except_: Collection[str], trace: str | None = None) -> bytes:
    """A message to the other nodes.

    Args:
        except_: ids of sessions that do not get it.
        trace: see `Forwarded`.
    """
    payload = Raw(msgpack_encoder.encode(event))
    return msgspec.msgpack.encode(Forwarded(event.event_name, tuple(except_), payload, trace))


forwarded = msgspec.msgpack.Decoder(Forwarded).decode
"""What a message says.

Raises:
    msgspec.DecodeError: it is not a message of a node.
"""
