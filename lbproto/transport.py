"""The port to the network: whole messages, one transport per live connection.

A transport is what an edge (the ASGI adapter, an in-memory test client, a simulator) hands to the
connection machinery. Everything above speaks in frames: an event encoded once for one wire format
and shared by everyone who receives it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

from lbproto.frame import Frame

__all__ = ["TOO_SLOW", "CloseCode", "Peer", "Transport"]


class CloseCode(IntEnum):
    """WebSocket close codes lbproto uses: RFC 6455, section 7.4.1, and the private range."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    TOO_BIG = 1009
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    UNAUTHORIZED = 4401
    SLOW_CONSUMER = 4408
    REPLACED = 4409


TOO_SLOW = CloseCode.SLOW_CONSUMER, "too slow: reconnect and resume"
"""How the transport of a client is closed that could not be sent all that was meant for it."""


@dataclass(frozen=True, slots=True)
class Peer:
    """The peer of a connection, as seen when it was opened.

    Attributes:
        address: host (and port) of the client, or "" where the edge does not know.
        headers: request headers, names in lower case; of repeated ones the last.
        query: query parameters; of repeated ones the last.
    """

    address: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)


def _cannot_write(data: bytes) -> None:
    raise RuntimeError(f"no way to write {len(data)} bytes without waiting")


def _ignore() -> None:
    """No-op: default callback."""


class Transport(Protocol):
    """One open way to a peer.

    `send` is called by one task at a time, in the order of the frames. Where the peer reads slower
    than we write, `send` waits; the frames behind wait in the connection's bounded outbox.

    Attributes:
        ready: whether `write` may be called now: the peer reads as fast as we write.
        unready: to be called when it is `ready` no more; whoever writes sets it.
        write: writes whole WebSocket frames without waiting. Raises `RuntimeError` where the
            transport has been closed, or never is `ready`.
    """

    ready: bool = False
    unready: Callable[[], None] = staticmethod(_ignore)
    write: Callable[[bytes], None] = staticmethod(_cannot_write)

    def pause_reading(self) -> None:
        """Pause delivery; a no-op where the reader waits by itself."""
        return

    def resume_reading(self) -> None:
        """Deliver again."""
        return

    def buffered(self) -> int:
        """Bytes that were written and that the peer has not taken; 0 where nobody tells."""
        return 0

    async def send(self, frames: Sequence[Frame]) -> None:
        """Send the frames in order; return when the transport has taken them.

        Raises:
            OSError: the peer is gone; the connection is then closed without a further word.
        """
        ...

    async def close(self, code: CloseCode, reason: str) -> None:
        """Close towards the peer; idempotent; never raises for a peer that is gone already.

        Args:
            code: WebSocket close code; a transport without one ignores it.
            reason: at most 123 bytes of UTF-8, shown to the peer.
        """
        ...
