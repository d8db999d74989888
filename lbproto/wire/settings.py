"""Bounds and times of the wire; every external byte meets one of them."""

from __future__ import annotations

from dataclasses import dataclass

from lbproto.validation.mistakes import check_bounds

__all__ = ["ProtocolError", "Settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Times in seconds, sizes in bytes.

    Attributes:
        ping_interval: how often the server asks an Engine.IO client for a sign of life.
        ping_timeout: how long it waits for the answer before it closes the connection.
        connect_timeout: how long a connection may stay without an accepted session.
        upgrade_timeout: how long a websocket may take to take over from polling.
        max_payload: the largest message or polling body a client may send.
        max_attachments: binary attachments of one event.
        max_namespaces: namespaces one connection may be connected to at a time.
        max_pending_requests: requests a connection may be ahead of their handling; beyond it
            the server stops reading from that connection until it has caught up.
        max_queued_frames: frames a connection's outbox holds.
        max_queued_bytes: bytes a connection's outbox holds.
        polling: whether an Engine.IO client may begin by long-polling. Not where its requests may
            reach several processes: each would have to reach the one that knows it.
    """

    ping_interval: float = 25.0
    ping_timeout: float = 20.0
    connect_timeout: float = 5.0
    upgrade_timeout: float = 10.0
    max_payload: int = 1_000_000
    max_attachments: int = 64
    max_namespaces: int = 16
    max_pending_requests: int = 64
    max_queued_frames: int = 4_096
    max_queued_bytes: int = 4 * 1024 * 1024
    polling: bool = True

    def __post_init__(self) -> None:
        check_bounds(self, zero=("max_attachments",))


class ProtocolError(Exception):
    """The peer broke the wire protocol: the connection is closed, nothing else is at fault."""
