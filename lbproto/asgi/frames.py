"""The WebSocket frames that nearly all traffic consists of, RFC 6455 section 5.2. Pure.

Theory of operation. A stream of client frames is cut into whole frames. Those that carry a whole
text or binary message are unmasked here; every other one (a control frame, a part of a fragmented
message, one with an extension's bits) is handed out as it came, for a complete parser that sees
those only. A frame is whole in itself, so the complete parser never misses the others; but once
one breaks the rules, or announces more than a message may have, it is given everything from there,
and refuses it in its own words.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

from lbproto.frame import message_frame

try:
    from websockets.speedups import apply_mask
except ImportError:  # pragma: no cover - where there is no wheel for the platform
    from websockets.utils import apply_mask

__all__ = ["BINARY", "COMPLETE", "TEXT", "FrameSplitter", "frame_again"]

COMPLETE, TEXT, BINARY = 0, 1, 2  # the latter two are opcodes

_FIN = 0x80
_MASKED = 0x80
_LENGTH = 0x7F
_TWO_BYTES, _EIGHT_BYTES = 126, 127
_OPCODE = 0x0F
_CONTROL = 0x08
_MAX_CONTROL = 125  # bytes that a control frame may carry
_MASK = 4  # bytes, the last of a header
_SHORTEST = 2 + _MASK  # bytes: the header of a masked frame with up to 125 bytes
_WHOLE = frozenset({_FIN | TEXT, _FIN | BINARY})
# Those of a client without extensions: a control frame is never a fragment.
_FIRST_BYTES = frozenset({0x00, 0x01, 0x02, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8A})


class FrameSplitter:
    """Cuts what a client sends into messages, and frames for a complete parser.

    Args:
        max_size: bytes that a message may have.
    """

    __slots__ = ("_broken", "_fragmented", "_max_size", "_missing", "_rest")

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._rest = bytearray()
        self._missing = 0  # bytes that the frame begun in `_rest` needs at least
        self._fragmented = False  # a message has begun whose end is in a later frame
        self._broken = False  # everything goes to the complete parser

    def whole_text(self, data: bytes) -> bytes | None:
        """The payload where this is just one frame with a whole text; what most reads consist of.

        Returns:
            None for everything else: `split` it.
        """
        if self._rest or self._fragmented or self._broken or len(data) < _SHORTEST:
            return None
        length, start = data[1] - _MASKED, _SHORTEST
        if length == _TWO_BYTES:
            length, start = int.from_bytes(data[2:4]), _SHORTEST + 2
        elif length == _EIGHT_BYTES:
            return None
        whole = data[0] == _FIN | TEXT and len(data) == start + length
        if not whole or not 0 <= length <= self._max_size:
            return None
        return apply_mask(data[start:], data[start - 4 : start])

    def split(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The frames that this completes.

        Yields:
            `TEXT` or `BINARY` and the payload of a message, which may not be UTF-8 even in a text;
            `COMPLETE` and bytes for the complete parser.
        """
        buffer: bytes | bytearray = data
        if self._rest:
            self._rest += data
            if len(self._rest) < self._missing:
                return  # so that a large frame in many small pieces is not looked at for each
            buffer, self._rest = self._rest, bytearray()
        self._missing = 0
        position = 0 if self._broken else (yield from self._scan(buffer))
        if position < len(buffer):
            if self._broken:
                yield COMPLETE, bytes(buffer[position:])
            else:
                self._rest = bytearray(buffer[position:])

    def _scan(self, buffer: bytes | bytearray) -> Generator[tuple[int, bytes], None, int]:
        """The whole frames in the buffer; returns where the first that is not whole begins."""
        position, end = 0, len(buffer)
        while end - position >= 2:
            first, second = buffer[position], buffer[position + 1]
            length = second & _LENGTH
            if (
                not second & _MASKED
                or first not in _FIRST_BYTES
                or (first & _CONTROL and length > _MAX_CONTROL)
            ):
                self._broken = True  # and nothing more is waited for to be told so
                return position
            header = _SHORTEST
            if length >= _TWO_BYTES:
                header += 2 if length == _TWO_BYTES else 8
                if end - position < header - _MASK:
                    return position
                length = int.from_bytes(buffer[position + 2 : position + header - _MASK])
            if length > self._max_size:
                self._broken = True
                return position
            start = position + header
            stop = start + length
            if stop > end:
                self._missing = stop - position
                return position
            if first in _WHOLE and not self._fragmented:
                yield first & _OPCODE, apply_mask(buffer[start:stop], buffer[start - _MASK : start])
            else:
                if first & _OPCODE < _CONTROL:
                    self._fragmented = not first & _FIN
                yield COMPLETE, bytes(buffer[position:stop])
            position = stop
        return position


def frame_again(opcode: int, payload: bytes) -> bytes:
    """A client's frame of a whole message, masked by zeros: for the complete parser after all."""
    header = message_frame(payload)[: -len(payload) or None]
    return bytes((_FIN | opcode, header[1] | _MASKED)) + header[2:] + bytes(4) + payload
