"""A server's WebSocket frames, RFC 6455 section 5.2: the same bytes for every client."""

from __future__ import annotations

from collections.abc import Iterable

from lbproto.transport import Frame, Message

__all__ = ["joined", "message_frame", "prepared"]

_TEXT, _BINARY = 0x81, 0x82  # the first byte of a frame that is a whole message
_TWO_BYTES, _EIGHT_BYTES = 126, 127  # the length is in so many bytes that follow


def message_frame(message: Message) -> bytes:
    """The frame of a whole message."""
    return _frame(_TEXT, message.encode()) if isinstance(message, str) else _frame(_BINARY, message)


def _frame(opcode: int, payload: bytes) -> bytes:
    length = len(payload)
    if length < _TWO_BYTES:
        return bytes((opcode, length)) + payload
    if length < 1 << 16:
        return bytes((opcode, _TWO_BYTES)) + length.to_bytes(2) + payload
    return bytes((opcode, _EIGHT_BYTES)) + length.to_bytes(8) + payload


def prepared(frame: Frame) -> bytes:
    """An event's WebSocket frames, made by whoever asks first."""
    if frame.prepared is None:
        if frame.text is not None:
            frame.prepared = _frame(_TEXT, frame.text)
        else:
            frame.prepared = b"".join(map(message_frame, frame.messages))
    return frame.prepared


def joined(frames: Iterable[Frame]) -> bytes:
    """The WebSocket frames of several events."""
    return b"".join([frame.prepared or prepared(frame) for frame in frames])
