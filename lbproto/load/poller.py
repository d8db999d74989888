"""Which sockets can be read: `epoll` where there is one, else what `selectors` has."""

from __future__ import annotations

import select
import selectors
import sys
from collections.abc import Sequence
from typing import Protocol

__all__ = ["READ", "WRITE", "Poller", "open_poller"]

READ, WRITE = 1, 4
"""What is waited for: the numbers of `EPOLLIN` and `EPOLLOUT`."""

_MAX_EVENTS = 1024  # sockets told at a time


class Poller(Protocol):
    """A set of sockets, by file descriptor."""

    def register(self, fd: int, events: int, /) -> None:
        """Take a socket in."""

    def modify(self, fd: int, events: int, /) -> None:
        """Wait for something else."""

    def unregister(self, fd: int, /) -> None:
        """Let a socket go."""

    def poll(self, timeout: float = ..., maxevents: int = ..., /) -> Sequence[tuple[int, int]]:
        """The sockets at which something has happened, and what, within `timeout` seconds."""

    def close(self) -> None:
        """Let all of them go."""


def open_poller() -> Poller:
    """An empty set."""
    return select.epoll() if sys.platform == "linux" else Selecting()


class Selecting:
    """The same by `selectors`, for other systems."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def register(self, fd: int, events: int, /) -> None:
        self._selector.register(fd, _wanted(events))

    def modify(self, fd: int, events: int, /) -> None:
        self._selector.modify(fd, _wanted(events))

    def unregister(self, fd: int, /) -> None:
        self._selector.unregister(fd)

    def poll(self, timeout: float = 0, maxevents: int = _MAX_EVENTS, /) -> list[tuple[int, int]]:
        ready = self._selector.select(timeout)[:maxevents]
        return [
            (key.fd, (READ if events & selectors.EVENT_READ else 0) | _write(events))
            for key, events in ready
        ]

    def close(self) -> None:
        self._selector.close()


def _wanted(events: int) -> int:
    read = selectors.EVENT_READ if events & READ else 0
    return read | (selectors.EVENT_WRITE if events & WRITE else 0)


def _write(events: int) -> int:
    return WRITE if events & selectors.EVENT_WRITE else 0
