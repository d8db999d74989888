"""Bounds on what a client accepts from a server, and its reconnection policy."""

from __future__ import annotations

import random
from dataclasses import dataclass

from lbproto.errors import UsageError
from lbproto.validation.mistakes import check_bounds

__all__ = ["MAX_WAIT_SECONDS", "Bounds", "Reconnect"]

MAX_WAIT_SECONDS = 600.0
"""Seconds that a server may have a client wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Times in seconds, sizes in bytes.

    Attributes:
        max_message: the largest message that the server may send; a larger one ends the client.
        max_unsent: what may wait to be written before `emit` and `request` wait, too.
        open_timeout: for how long connecting may take; and as long the server's word that the
            client may come in.
        close_timeout: how long the server has to answer when the client leaves.
        ping_interval: after so long without a word from the server it is asked for one.
        ping_timeout: how long it has to answer, before the connection counts as lost. With
            Socket.IO it is the server that says both, within 5 minutes each.
        max_waiting: events of a job that may wait to be read, before nothing more is read from the
            connection.
        max_waiting_bytes: likewise, their size.

    Raises:
        UsageError: a number is not above 0.
    """

    max_message: int = 16 * 1024 * 1024
    max_unsent: int = 256 * 1024
    open_timeout: float = 10.0
    close_timeout: float = 1.0
    ping_interval: float = 25.0
    ping_timeout: float = 20.0
    max_waiting: int = 1_000
    max_waiting_bytes: int = 16 * 1024 * 1024

    def __post_init__(self) -> None:
        check_bounds(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconnect:
    """When a client reconnects: after a random delay below a ceiling that doubles ("full jitter").

    Attributes:
        first: the first ceiling, in seconds.
        most: the highest ceiling, in seconds.
        attempts: how often it tries in a row; None for as long as it takes. A connection that has
            lasted longer than the next ceiling begins a new row.

    Raises:
        UsageError: the first ceiling is above the highest, or not above 0.
    """

    first: float = 0.5
    most: float = 30.0
    attempts: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.first <= self.most:
            raise UsageError("reconnect: the first ceiling is above 0, and not above the highest")

    def ceiling(self, attempt: int) -> float:
        """The longest that the client waits, in seconds, before this attempt; they begin at 0."""
        doublings = min(attempt, 32)  # beyond that it is a matter of floating point
        return min(self.most, self.first * 2.0**doublings)

    def delay(self, attempt: int, retry_after: float | None) -> float:
        """Seconds to wait before this attempt.

        Args:
            attempt: how many of the row there were.
            retry_after: what the server asked for, which is waited for in any case; 10 minutes at
                most.
        """
        jitter = random.uniform(0, self.ceiling(attempt))  # noqa: S311 - it keeps no secret
        return min(max(retry_after or 0.0, 0.0), MAX_WAIT_SECONDS) + jitter
