"""WebSocket frames as a client sends and reads them, RFC 6455 section 5. Pure.

Only what is said before and beside a measurement goes through `FrameReader`; deliveries are
counted without being cut into frames (see `counting`).
"""

from __future__ import annotations

import os

__all__ = [
    "CLOSE",
    "PING",
    "TEXT",
    "BadFrame",
    "FrameReader",
    "client_frame",
    "close_frame",
    "closing",
    "payload_start",
    "pong_frame",
    "reason_of",
]

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

_FIN = 0x80
_RESERVED = 0x70
_OPCODE = 0x0F
_CONTROL = 0x08
_MASKED = 0x80
_LENGTH = 0x7F
_TWO_BYTES, _EIGHT_BYTES = 126, 127
_MAX_CONTROL = 125
_NORMAL = 1000
_CODES = frozenset({*range(1000, 1015), *range(3000, 5000)}) - {1004, 1005, 1006}


class BadFrame(Exception):
    """What came is not a frame that a server may send; the message says why."""


def client_frame(message: str | bytes) -> bytes:
    """The frame of a whole message: a `str` is sent as text, `bytes` are sent as binary."""
    if isinstance(message, str):
        return _masked(TEXT, message.encode())
    return _masked(BINARY, message)


def pong_frame(payload: bytes) -> bytes:
    """The answer to a ping that had this payload."""
    return _masked(PONG, payload)


def close_frame(code: int = _NORMAL) -> bytes:
    """The frame that ends a connection in order."""
    return _masked(CLOSE, code.to_bytes(2))


def _masked(opcode: int, payload: bytes) -> bytes:
    length = len(payload)
    if length < _TWO_BYTES:
        header = bytes((_FIN | opcode, _MASKED | length))
    elif length < 1 << 16:
        header = bytes((_FIN | opcode, _MASKED | _TWO_BYTES)) + length.to_bytes(2)
    else:
        header = bytes((_FIN | opcode, _MASKED | _EIGHT_BYTES)) + length.to_bytes(8)
    mask = os.urandom(4)
    repeated = (mask * (length // 4 + 1))[:length]
    masked = int.from_bytes(payload) ^ int.from_bytes(repeated)
    return header + mask + masked.to_bytes(length)


class FrameReader:
    """Cuts what a server sends into messages and control frames.

    Attributes:
        rest: the frame that has begun and is not whole yet.
    """

    __slots__ = ("_parts", "rest")

    def __init__(self) -> None:
        self.rest = b""
        self._parts: list[bytes] = []  # of a message in several frames

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The messages and control frames that this completes.

        Returns:
            Of each `TEXT`, for a message of either kind, or the opcode of a control frame; and the
            payload.

        Raises:
            BadFrame: a server must not send this.
        """
        data = self.rest + data
        position = 0
        whole = []
        while (frame := _frame_at(data, position)) is not None:
            first, start, position = frame
            payload = data[start:position]
            if first & _CONTROL:
                whole.append((first & _OPCODE, payload))
                continue
            self._parts.append(payload)
            if first & _FIN:
                whole.append((TEXT, b"".join(self._parts)))
                self._parts.clear()
        self.rest = data[position:]
        return whole


def _frame_at(data: bytes, position: int) -> tuple[int, int, int] | None:
    """First byte, start and end of the payload of the frame here; None if it is not whole."""
    if len(data) - position < 2:
        return None
    first, length = data[position], data[position + 1]
    if first & _RESERVED:
        raise BadFrame("a compressed frame, though no extension was offered")
    if length & _MASKED:
        raise BadFrame("a masked frame: only clients mask theirs")
    start = position + 2
    if length >= _TWO_BYTES:
        if first & _CONTROL:
            raise BadFrame("a control frame of more than 125 bytes")
        size = 2 if length == _TWO_BYTES else 8
        start += size
        if len(data) < start:
            return None
        length = int.from_bytes(data[start - size : start])
    end = start + length
    return None if len(data) < end else (first, start, end)


def payload_start(data: bytes) -> int:
    """Where the payload of the frame begins with which these bytes begin."""
    size = data[1] if len(data) > 1 else 0
    return 4 if size == _TWO_BYTES else 10 if size == _EIGHT_BYTES else 2


def closing(data: bytes) -> bytes | None:
    """The payload of the close frame that these bytes end with; nothing follows one.

    The bytes may begin amid a frame. What only looks like a close frame is told from one by the
    code, which may be sent (RFC 6455 section 7.4) and begins with a control character, which JSON
    has not; and by the reason, which is text, where MessagePack that ends like it is not.

    Returns:
        None where there is none.
    """
    start = data.find(_FIN | CLOSE, -_MAX_CONTROL - 2)
    while start >= 0:
        payload = data[start + 2 :]
        if data[start + 1 : start + 2] == bytes((len(payload),)) and _says_why(payload, start):
            return payload
        start = data.find(_FIN | CLOSE, start + 1)
    return None


def _says_why(payload: bytes, start: int) -> bool:
    """Whether a close frame that starts here may have this payload; none only as the first."""
    if not payload:
        return not start
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        return False
    return int.from_bytes(payload[:2]) in _CODES


def reason_of(payload: bytes) -> str:
    """What a close frame says, for a sentence: its code, and its reason if it gives one."""
    if len(payload) < 2:
        return "without a code"
    code, reason = int.from_bytes(payload[:2]), payload[2:].decode(errors="replace")
    return f"{code}: {reason}" if reason else f"code {code}"
