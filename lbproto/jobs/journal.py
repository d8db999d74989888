"""The events a job has sent, kept within bounds for clients that attach later. Pure."""

from __future__ import annotations

from collections import deque

import msgspec

from lbproto.encoded import json_hook
from lbproto.events import Event

__all__ = ["Journal"]

_encoder = msgspec.json.Encoder(enc_hook=json_hook)
_OVERHEAD = 200  # bytes that an event takes beside what it says, about


class Journal:
    """The newest events of one job; they are numbered from 1.

    Args:
        max_bytes: what they may take; the oldest go first, but the newest is always kept.

    Attributes:
        told: how many there were.
    """

    __slots__ = ("_buffer", "_kept", "_max_bytes", "_size", "told")

    def __init__(self, max_bytes: int) -> None:
        self.told = 0
        self._max_bytes = max_bytes
        self._kept: deque[tuple[Event, int]] = deque()
        self._size = 0
        self._buffer = bytearray()

    @property
    def reaches(self) -> int:
        """After how many events what is kept begins."""
        return self.told - len(self._kept)

    def append(self, event: Event) -> int:
        """Add what is being told.

        Returns:
            Bytes that it counts for.
        """
        _encoder.encode_into(event, self._buffer)
        size = len(self._buffer) + _OVERHEAD
        self.told += 1
        self._kept.append((event, size))
        self._size += size
        while self._size > self._max_bytes and len(self._kept) > 1:
            self._size -= self._kept.popleft()[1]
        return size

    def after(self, number: int) -> list[Event]:
        """The kept events after so many, in order."""
        skipped = max(0, number - self.reaches)
        return [event for event, _ in list(self._kept)[skipped:]]
