"""Counts deliveries in what connections bring, without looking at them one by one.

Theory of operation. What a read brings is any piece of a stream of frames. Each delivery has one
marker, so deliveries are counted by counting markers, in one call for the whole piece. A piece that
ends in the middle of a marker leaves its beginning to the next one: it is put before that, and so
counted once. That is looked for only where the last byte is one of a marker.

Where frames begin is not known any more then, and yet pings have to be answered, and the end be
noticed. A Socket.IO
heartbeat is a whole frame that no JSON can contain: it is searched for as it is. A WebSocket ping
is a byte that is rare in text, with enough around it to tell it from a length or a part of a
character. Should something else look like one after all, the server gets a pong that it did not
ask for, which RFC 6455 section 5.5.3 has it ignore.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from time import monotonic_ns
from typing import Protocol

from lbproto.load.frames import closing, pong_frame
from lbproto.load.poller import WRITE

__all__ = ["Lines", "Tally", "delay_pattern"]

_CHUNK = 1 << 16
_PING, _CLOSE = 0x89, 0x88  # first bytes of frames
_ASCII = 0x80  # bytes from here on are not characters of their own
_TWO_BYTES = 126
_MAX_CONTROL = 125
_MESSAGES = frozenset({0x81, 0x82})  # first bytes of frames
_FIRST_BYTES = _MESSAGES | {0x00, 0x01, 0x02, 0x80, 0x88, 0x89, 0x8A}
_MAX_DELAY_NS = 3_600_000_000_000  # ns: a longer delay is the difference between two clocks
_NEVER = 1 << 62

Receive = Callable[[int], bytes]


class Lines(Protocol):
    """The connections, by file descriptor."""

    def send(self, fd: int, data: bytes, /) -> None:
        """Send bytes."""

    def flush(self, fd: int, /) -> None:
        """Send what could not be sent before."""

    def ended(self, fd: int, last: bytes, error: OSError | None, /) -> Exception:
        """What to raise, since a connection has ended: in order or by an error.

        Args:
            last: what it brought last.
        """


class Tally:
    """The counts of all connections that are listened to.

    Args:
        poll: which can be read: file descriptors and events, within seconds.
        lines: what else is done with connections.

    Attributes:
        counts: by file descriptor, how many deliveries there were.
        total: of all together.
        receive: by file descriptor, how it is read.
        aside: by file descriptor, who is told what happens to it instead of being counted.
        answered: told of every piece that has deliveries, and how many: for requests, which are
            cheaper to look at than what they cost.
        unmarked: told of every piece that has none.
        delays: samples in ns, as they come.
    """

    def __init__(
        self,
        poll: Callable[[float], Sequence[tuple[int, int]]],
        lines: Lines,
    ) -> None:
        self.counts: dict[int, int] = {}
        self.total = 0
        self.receive: dict[int, Receive] = {}
        self.aside: dict[int, Callable[[int], None]] = {}
        self.answered: Callable[[int, int, bytes], None] | None = None
        self.unmarked: Callable[[int, bytes], None] | None = None
        self.delays: list[int] = []
        self._poll = poll
        self._lines = lines
        self._rests: dict[int, bytes] = {}  # what ends pieces, and has to be read with the next
        self._last: dict[int, bytes] = {}
        self._marker = b""
        self._ends: frozenset[int] = frozenset()
        self._beat: bytes | None = None
        self._answer = b""
        self._every = 0
        self._sample_at = _NEVER
        self._delay: re.Pattern[bytes] | None = None
        self._binary = False

    def listen(self, fd: int, receive: Receive, rest: bytes) -> None:
        """Begin to count what a connection brings.

        Args:
            rest: what it brought already and is not counted: a frame that is not whole.
        """
        self.receive[fd] = receive
        self.counts[fd] = 0
        self._last[fd] = b""
        if rest:
            self._rests[fd] = rest

    def mark(
        self, marker: bytes, heartbeat: tuple[bytes, bytes] | None = None, *, binary: bool = False
    ) -> None:
        """Say what is counted from now on.

        Args:
            marker: not empty.
            heartbeat: a frame of the server's, of less than 126 bytes, and the frame that answers.
            binary: what comes is not text.
        """
        self._marker = marker
        self._binary = binary
        self._beat, self._answer = heartbeat or (None, b"")
        self._ends = frozenset(marker[:-1]) | frozenset((self._beat or b"")[:-1])

    def sample(self, every: int, delay: re.Pattern[bytes] | None) -> None:
        """Begin anew with samples of delays.

        Args:
            every: of how many deliveries one is looked at; 0: none is.
            delay: see `delay_pattern`.
        """
        self.delays = []
        self._every = every
        self._delay = delay
        self._sample_at = self.total + every if every and delay is not None else _NEVER

    def turn(self, timeout: float) -> int:  # noqa: C901 - in one piece, since calls cost
        """Wait for something to read, and read it.

        Args:
            timeout: seconds.

        Returns:
            At how many connections something has happened.

        Raises:
            Exception: what `Lines.ended` says, when a connection has ended.
        """
        receive, counts, rests, last = self.receive, self.counts, self._rests, self._last
        lines, aside, answered, unmarked = self._lines, self.aside, self.answered, self.unmarked
        marker, ends, total = self._marker, self._ends, self.total
        beat = _PING if self._beat is None else self._beat[1]
        sample_at = self._sample_at
        ready = self._poll(timeout)
        for fd, events in ready:
            if fd in aside:
                aside[fd](events)
                continue
            try:
                piece = receive[fd](_CHUNK)
            except BlockingIOError:
                if events & WRITE:
                    lines.flush(fd)
                continue
            except OSError as error:
                raise lines.ended(fd, last[fd], error) from None
            if not piece:
                raise lines.ended(fd, last[fd], None)
            if fd in rests:
                piece = rests.pop(fd) + piece
            last[fd] = piece
            found = piece.count(marker)
            if piece[-1] in ends or _PING in piece or beat in piece or _CLOSE in piece:
                self._look(fd, piece)
            if found:
                counts[fd] += found
                total += found
                if total >= sample_at:
                    self._measure(piece, monotonic_ns())
                    sample_at = total + self._every
                if answered is not None:
                    answered(fd, found, piece)
            elif unmarked is not None:
                unmarked(fd, piece)
        self.total, self._sample_at = total, sample_at
        return len(ready)

    def _measure(self, piece: bytes, now: int) -> None:
        """Take a sample from the first delivery of a piece: it waited the longest of them."""
        assert self._delay is not None  # noqa: S101 - else there is no sampling
        found = self._delay.search(piece, piece.find(self._marker))
        if found is not None:
            number = found[1]
            delay = now - (int.from_bytes(number) if self._binary else int(number))
            if 0 <= delay < _MAX_DELAY_NS:
                self.delays.append(delay)

    # What is not counted

    def _look(self, fd: int, piece: bytes) -> None:
        """Answer pings, and keep what the piece ends with where the next has to be read with it."""
        if _CLOSE in piece and closing(piece) is not None:
            raise self._lines.ended(fd, piece, None)  # the server may wait for us to go first
        whole, begun = 0, len(piece)
        for start, end in self._pings(piece):
            if end <= len(piece):
                whole = 0 if self._binary else end
                self._lines.send(fd, pong_frame(piece[start + 2 : end]))
            else:
                begun = min(begun, start)
        if self._beat is not None:
            beats = piece.count(self._beat)
            if beats:
                self._lines.send(fd, self._answer * beats)
            begun = min(begun, _begins(piece, self._beat, whole))
        counted = self._counted(piece)
        begun = min(max(begun, counted), _begins(piece, self._marker, max(whole, counted)))
        if begun < len(piece):
            self._rests[fd] = piece[begun:]

    def _counted(self, piece: bytes) -> int:
        """Where the last marker ends."""
        end = 0
        while (start := piece.find(self._marker, end)) >= 0:
            end = start + len(self._marker)
        return end

    def _pings(self, piece: bytes) -> Iterator[tuple[int, int]]:
        """Where there seem to be pings, and where they end: beyond the piece if not whole."""
        start = piece.find(_PING)
        known = 0  # where a frame begins, if the last ping was one
        while start >= 0:
            length = piece[start + 1] if start + 1 < len(piece) else 0
            end = start + 2 + length
            followed = end >= len(piece) or piece[end] in _FIRST_BYTES
            begins = start == known or self._begins_frame(piece, start)
            if length <= _MAX_CONTROL and followed and begins:
                yield start, end
                known = end
                if end <= len(piece) and not self._binary:  # there it may lie across a ping
                    start = end - 1  # a ping's payload may be any bytes, and is not a frame
            start = piece.find(_PING, start + 1)

    def _begins_frame(self, piece: bytes, start: int) -> bool:
        """Whether a frame may begin here, by what is before it."""
        if start >= 2 and piece[start - 1] == _TWO_BYTES and piece[start - 2] in _MESSAGES:
            return False  # it is the upper byte of a length
        if start >= 3 and piece[start - 2] == _TWO_BYTES and piece[start - 3] in _MESSAGES:
            return False  # or the lower one
        # What is within a character of a text has the others of it before it.
        return self._binary or piece[start - 1] < _ASCII


def _begins(piece: bytes, whole: bytes, start: int = 0) -> int:
    """Where, from `start`, the piece ends with a beginning of `whole`; its end if nowhere."""
    for size in range(min(len(whole) - 1, len(piece) - start), 0, -1):
        if piece.endswith(whole[:size]):
            return len(piece) - size
    return len(piece)


def delay_pattern(field: str, *, binary: bool) -> re.Pattern[bytes]:
    """What finds the moment in a delivery: a field that is a whole number.

    Args:
        binary: in MessagePack instead of JSON.
    """
    if binary:
        name = bytes((0xA0 | len(field.encode()),)) + field.encode()
        return re.compile(re.escape(name) + rb"[\xcf\xd3](.{8})", re.DOTALL)
    # What follows has to be there: else the number may be cut off.
    return re.compile(b'"' + re.escape(field.encode()) + rb'":\s*(\d+)[^\d]')
