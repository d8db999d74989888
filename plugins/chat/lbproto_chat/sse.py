"""Server-sent events, as far as streams of tokens use them: the data of each event. Pure, bounded.

https://html.spec.whatwg.org/multipage/server-sent-events.html, less what nobody sends here: a lone
carriage return ends no line.
"""

from __future__ import annotations

__all__ = ["EventReader", "TooLong"]

_MAX_EVENT_BYTES = 256 * 1024  # bytes of one event


class TooLong(ValueError):
    """One event is larger than any that a model sends."""


class EventReader:
    """Makes events of bytes, however they are cut."""

    def __init__(self) -> None:
        self._rest = bytearray()  # of a line that has not ended
        self._data: list[bytes] = []  # of an event that has not ended
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Take what has come.

        Returns:
            The data of the events that have ended with it.

        Raises:
            TooLong: an event is.
        """
        events = []
        self._rest += data
        *lines, rest = self._rest.split(b"\n")
        self._rest = rest
        for line in lines:
            if line.endswith(b"\r"):
                del line[-1]
            if not line:
                if self._data:
                    events.append(b"\n".join(self._data))
                self._data = []
                self._size = 0
            elif line.startswith(b"data:"):
                value = bytes(line[5:].removeprefix(b" "))
                self._data.append(value)
                self._size += len(value)
            self._check()
        self._check()
        return events

    def _check(self) -> None:
        if self._size + len(self._rest) > _MAX_EVENT_BYTES:
            raise TooLong("an event of the stream is too long")
