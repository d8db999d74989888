"""Requests under way: each client asks again when it is answered."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from time import monotonic_ns

from lbproto.load.crowd import Crowd
from lbproto.load.frames import TEXT, BadFrame, FrameReader, client_frame, payload_start
from lbproto.load.running import Run

__all__ = ["Asking"]


class Asking:
    """What each client has asked and when.

    Args:
        crowd: its dialect says what is asked.
        run: what counts the answers; asks for nothing more once it is over.

    Attributes:
        delays: how long each answer took, in ns.
    """

    def __init__(self, crowd: Crowd, run: Run) -> None:
        self.delays: list[int] = []
        self._run = run
        self._dialect = dialect = crowd.dialect
        self._clients = {client.fd: client for client in crowd.readers}
        self._frames = {
            fd: client_frame(dialect.say(dialect.request, client=client.number))
            for fd, client in self._clients.items()
        }
        self._asked: dict[int, deque[int]] = {fd: deque() for fd in self._clients}

    def begin(self, depth: int) -> None:
        """Have each client ask so many times; delays from before are forgotten."""
        self.delays.clear()
        for fd in self._clients:
            self._ask(fd, depth)

    def _ask(self, fd: int, count: int) -> None:
        self._asked[fd].extend([monotonic_ns()] * count)
        self._run.expected += count
        self._clients[fd].send(self._frames[fd] * count)

    def answered(self, fd: int, count: int, piece: bytes) -> None:
        """So many answers have come, in this piece: ask as many times again.

        Raises:
            LoadError: they are refusals, or not what was asked for.
        """
        now, asked = monotonic_ns(), self._asked[fd]
        if count > len(asked):
            raise self._clients[fd].failure(
                "it has more answers than requests: measure one that is answered once"
            )
        # A refusal may have the request's id, as an answer has. To look at the first message is
        # enough: what refuses does not do so once.
        start = payload_start(piece)
        if self._dialect.refusal(piece, start):
            raise self._clients[fd].refused(piece[start:])
        self.delays.extend([now - asked.popleft() for _ in range(count)])
        if not self._run.over:
            self._ask(fd, count)

    def unmarked(self, fd: int, piece: bytes) -> None:
        """Something else than an answer has come.

        Raises:
            LoadError: it is a refusal.
        """
        for message in _messages(piece):
            if self._dialect.refusal(message):
                raise self._clients[fd].refused(message)


def _messages(piece: bytes) -> Iterator[bytes]:
    """The whole messages of a piece, as far as it is one of whole frames."""
    try:
        for opcode, payload in FrameReader().feed(piece):
            if opcode == TEXT:
                yield payload
    except BadFrame:
        return
