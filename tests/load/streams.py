"""Streams of bytes, and ways to cut them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import strategies as st

__all__ = ["cut", "cuts", "server_frame"]

cuts = st.lists(st.integers(0, 2000), max_size=12)
"""Where a stream is cut; what is beyond its end does not count."""


def cut(stream: bytes, at: Sequence[int]) -> list[bytes]:
    """The pieces of a stream; none is empty."""
    places = sorted({0, *(place for place in at if place < len(stream)), len(stream)})
    return [stream[start:end] for start, end in pairwise(places)]


def server_frame(first: int, payload: bytes) -> bytes:
    """A frame with this first byte."""
    length = len(payload)
    if length < 126:
        return bytes((first, length)) + payload
    if length < 1 << 16:
        return bytes((first, 126)) + length.to_bytes(2) + payload
    return bytes((first, 127)) + length.to_bytes(8) + payload
