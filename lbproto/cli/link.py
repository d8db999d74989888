"""A worker's end of its link to whoever started it; see `lbproto.cli.workers`."""

from __future__ import annotations

import select
import socket

from lbproto.cli.keeper import Keeper

__all__ = ["READY", "Link"]

READY, TURNS = b"!", b"."
_READ = 65_536


class Link(Keeper):
    """What a worker is told, and says; whoever is at the other end keeps it.

    Args:
        number: of the open file.
    """

    has_terminal = False

    def __init__(self, number: int) -> None:
        self._socket = socket.socket(fileno=number)

    def instructions(self) -> bytes:
        """What to do: the line that comes first. Waits for it.

        Raises:
            EOFError: whoever started us is gone.
        """
        told = b""
        while not told.endswith(b"\n"):
            more = self._socket.recv(_READ)
            if not more:
                raise EOFError
            told += more
        self._socket.setblocking(False)
        return told

    def ready(self) -> None:
        self._say(READY)

    def turns(self) -> bool:
        # Nothing more is said to us: what can be read is the end.
        return self._say(TURNS) and not select.select([self._socket], [], [], 0)[0]

    def stopping(self) -> None:
        """Whoever keeps it has told it to stop, or will see it end."""

    def close(self) -> None:
        """Say nothing more."""
        self._socket.close()

    def _say(self, what: bytes) -> bool:
        try:
            self._socket.send(what)
        except BlockingIOError:
            return True  # it does not read just now
        except OSError:
            return False
        return True
