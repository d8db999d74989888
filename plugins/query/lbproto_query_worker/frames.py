"""What engine and worker say to each other: MessagePack, each message behind its length.

The engine opens queries, and pulls: a worker sends no more rows than it was asked for. Whatever a
query's fate is, its last message is one `Ended` or one `Refused`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import msgspec

__all__ = [
    "Broken",
    "Cancel",
    "Chunk",
    "Column",
    "Described",
    "Ended",
    "Failed",
    "Frames",
    "FromEngine",
    "FromWorker",
    "Open",
    "Progressed",
    "Pull",
    "Ready",
    "Refused",
    "Traced",
    "framed",
]

_PREFIX = 4  # bytes of a length, most significant first
_MAX_MESSAGE_BYTES = 64 * 1024 * 1024  # bytes of a message, which none of them comes near


class Column(msgspec.Struct, frozen=True):
    """One column of a result.

    `type` is the engine's name of it; `wire` says what its values are in JSON: `boolean`, `number`,
    `string`, `array`, `object`, or `any` where that differs by row.
    """

    name: str
    type: str
    nullable: bool
    wire: str


class Open(msgspec.Struct, tag=0):
    """Begin a query; `window` chunks may be sent without being pulled. Times are in seconds.

    `trace` is the span that it is part of, as a W3C `traceparent`; None where nobody records it.
    """

    id: int
    sql: str
    params: list[Any] | dict[str, Any]
    arrays: bool
    msgpack: bool
    seconds: float
    patience: float
    rows: int
    row_bytes: int
    chunk_bytes: int
    window: int
    trace: str | None = None


class Pull(msgspec.Struct, tag=1):
    """One chunk more may be sent."""

    id: int


class Cancel(msgspec.Struct, tag=2):
    """End a query now; it may have ended meanwhile."""

    id: int


class Ready(msgspec.Struct, tag=0):
    """The catalogue is open; the first message of a worker, unless it is `Failed`."""


class Failed(msgspec.Struct, tag=1):
    """The catalogue cannot be opened; for the log, as it names files."""

    reason: str


class Progressed(msgspec.Struct, tag=2):
    """How far a query is that has sent no rows yet: rows read, as estimated, and per cent."""

    id: int
    rows: int
    pct: float


class Described(msgspec.Struct, tag=3):
    """The columns, before the first chunk; `work` is how much the plan is, in rows."""

    id: int
    columns: list[Column]
    work: int


class Chunk(msgspec.Struct, tag=4):
    """Rows as one encoded array, in the format that was asked for."""

    id: int
    rows: int
    data: bytes


class Ended(msgspec.Struct, tag=5):
    """All rows were sent, or as many as are allowed; `seconds` is the time spent working."""

    id: int
    rows: int
    truncated: bool
    seconds: float


class Refused(msgspec.Struct, tag=6):
    """A code of lbproto's envelope, and what to tell the client."""

    id: int
    code: str
    message: str


class Broken(msgspec.Struct, tag=7):
    """DuckDB has failed, and does nothing any more: the worker is about to end."""


class Traced(msgspec.Struct, tag=8):
    """The query's span, just before its last message, where it is part of one that is recorded.

    `began` and `ended` are in ns since the Unix epoch; `planned` and `waited` are seconds: until
    the query could be run, and that its rows have waited to be read.
    """

    id: int
    pid: int
    began: int
    ended: int
    planned: float
    waited: float


FromEngine: TypeAlias = Open | Pull | Cancel
FromWorker: TypeAlias = (
    Ready | Failed | Progressed | Described | Chunk | Ended | Refused | Broken | Traced
)

_ENCODER = msgspec.msgpack.Encoder()


def framed(message: FromEngine | FromWorker) -> bytes:
    """A message as it goes over the line."""
    body = _ENCODER.encode(message)
    return len(body).to_bytes(_PREFIX) + body


class Frames:
    """Cuts a stream of bytes into the bodies of messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Add what has come; yields each message that is whole.

        Raises:
            ValueError: one is longer than any may be.
        """
        self._buffer += data
        start = 0
        while len(self._buffer) - start >= _PREFIX:
            length = int.from_bytes(self._buffer[start : start + _PREFIX])
            if length > _MAX_MESSAGE_BYTES:
                raise ValueError(f"a message of {length} bytes")
            end = start + _PREFIX + length
            if len(self._buffer) < end:
                break
            yield bytes(self._buffer[start + _PREFIX : end])
            start = end
        del self._buffer[:start]
