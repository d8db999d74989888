"""A server's WebSocket frames, RFC 6455 section 5.2: the same bytes for every client."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

from lbproto.transport import Frame, Message

__all__ = ["joined", "message_frame", "prepared"]

_TEXT, _BINARY = 0x81, 0x82  # the first byte of a frame that is a whole message
_TWO_BYTES, _EIGHT_BYTES = 126, 127  # the length is in so many bytes that follow
_SHORT = {
    opcode: [bytes((opcode, length)) for length in range(_TWO_BYTES)] for opcode in (_TEXT, _BINARY)
}
_long = Struct("!BBH").pack


def message_frame(message: Message) -> bytes:
    """The frame of a whole message."""
    return _frame(_TEXT, message.encode()) if isinstance(message, str) else _frame(_BINARY, message)


def _frame(opcode: int, payload: bytes) -> bytes:
    length = len(payload)
    if length < _TWO_BYTES:
        return _SHORT[opcode][length] + payload
    if length < 1 << 16:
        return _long(opcode, _TWO_BYTES, length) + payload
    return bytes((opcode, _EIGHT_BYTES)) + length.to_bytes(8) + payload


def prepared(frame: Frame) -> bytes:
    """An event's WebSocket frames, made by whoever asks first."""
    if frame.prepared is None:
        data = b""
        if frame.texts:
            for text in frame.texts:
                data += _frame(_TEXT, text)
        else:
            data = b"".join(map(message_frame, frame.messages))
        frame.prepared = data
    return frame.prepared


def joined(frames: Sequence[Frame]) -> bytes:
    """The WebSocket frames of several events."""
    if len(frames) == 1:
        return prepared(frames[0])
    return b"".join([frame.prepared or prepared(frame) for frame in frames])
