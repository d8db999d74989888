"""One event in one wire format, encoded once, as the WebSocket frames that carry it. Pure.

A server's frames are not masked (RFC 6455, section 5.2), so they are the same bytes for every
client: what is sent to a thousand is made once, and sent together by joining. Where a transport has
no way to write bytes as they are, the messages are read from them again, once for all recipients.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from struct import Struct
from typing import Any, Self

import msgspec

from lbproto.overflow import Overflow

__all__ = ["Frame", "Message", "frame_of", "head_of_text", "joined", "message_frame"]

Message = str | bytes
"""One WebSocket message: text or binary."""

_TEXT, _BINARY = 0x81, 0x82  # the first byte of a frame that is a whole message
_TWO_BYTES, _EIGHT_BYTES = 126, 127  # the length is in so many bytes that follow
_SHORT = {
    opcode: [bytes((opcode, length)) for length in range(_TWO_BYTES)] for opcode in (_TEXT, _BINARY)
}
_SHORT_TEXTS = _SHORT[_TEXT]
_long = Struct("!BBH").pack


class Frame(msgspec.Struct, eq=False, gc=False):
    """One event in one wire format, encoded once and shared by all its recipients.

    Attributes:
        data: its WebSocket frames, each a whole message; their length is what the event counts in
            a bounded queue.
        overflow: the policy of a full outbox.
        key: with `Overflow.CONFLATE`, only the newest queued frame of a key is kept.
        rendered: its ASGI events, kept by the first transport that needs them for the others.
    """

    data: bytes
    overflow: Overflow = Overflow.DISCONNECT
    key: Hashable = None
    rendered: Any = None
    _messages: tuple[Message, ...] = ()

    @classmethod
    def of(cls, messages: Iterable[Message]) -> Self:
        """An event that is carried by these messages."""
        return cls(b"".join(map(message_frame, messages)))

    @property
    def messages(self) -> tuple[Message, ...]:
        """The WebSocket messages to send, in order: where they are not sent as `data`."""
        if not self._messages:
            self._messages = tuple(_messages_in(self.data))
        return self._messages


def frame_of(text: bytes, attachments: Sequence[bytes] = ()) -> Frame:
    """A text message, given as UTF-8, and the binary ones that follow it."""
    data = head_of_text(len(text)) + text
    return Frame(data + b"".join(map(message_frame, attachments)) if attachments else data)


def message_frame(message: Message) -> bytes:
    """The WebSocket frame of a whole message."""
    if isinstance(message, str):
        payload = message.encode()
        return head_of_text(len(payload)) + payload
    return _head(_BINARY, len(message)) + message


def head_of_text(length: int) -> bytes:
    """What comes before a text of so many bytes of UTF-8."""
    if length < _TWO_BYTES:
        return _SHORT_TEXTS[length]
    return _long(_TEXT, _TWO_BYTES, length) if length < 1 << 16 else _head(_TEXT, length)


def _head(opcode: int, length: int) -> bytes:
    if length < _TWO_BYTES:
        return _SHORT[opcode][length]
    if length < 1 << 16:
        return _long(opcode, _TWO_BYTES, length)
    return bytes((opcode, _EIGHT_BYTES)) + length.to_bytes(8)


def joined(frames: Sequence[Frame]) -> bytes:
    """The WebSocket frames of several events."""
    if len(frames) == 1:
        return frames[0].data
    return b"".join([frame.data for frame in frames])


def _messages_in(data: bytes) -> Iterator[Message]:
    start = 0
    while start < len(data):
        opcode, length = data[start], data[start + 1]
        start += 2
        if length >= _TWO_BYTES:
            size = 2 if length == _TWO_BYTES else 8
            length = int.from_bytes(data[start : start + size])
            start += size
        payload = data[start : start + length]
        yield payload.decode() if opcode == _TEXT else payload
        start += length
