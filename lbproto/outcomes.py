"""What became of requests that carry an id of their own, so that a repeat joins the first. Pure.

Theory of operation. A request is known by its user, its event and the `requestId` that the client
gave it. While the first is served its outcome is open, and repeats wait for it; then it is kept
for a while. Only an outcome that is final is kept: after a failure that may be retried, the next
one is a first again. What is kept is bounded in time, in count and in bytes; the oldest goes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import anyio

from lbproto.errors import RequestError
from lbproto.events import Event

__all__ = ["Key", "Outcome", "Outcomes"]

_OVERHEAD = 500  # bytes that an outcome takes beside its answers, about


class Key(NamedTuple):
    """What a request is known by."""

    user_id: str
    event: str
    request_id: str


class Outcome:
    """What became of a request, or will.

    Args:
        request: the first request; a repeat is the same, or a mistake.

    Attributes:
        settled: set once it is known.
        answers: the events that answered; None where they were too large to be kept.
        error: how it failed; None for success.
        expires: monotonic time, in seconds.
        size: bytes.
    """

    __slots__ = ("answers", "error", "expires", "request", "settled", "size")

    def __init__(self, request: Event) -> None:
        self.request = request
        self.settled = anyio.Event()
        self.answers: Sequence[Event] | None = ()
        self.error: RequestError | None = None
        self.expires = 0.0
        self.size = 0


class Outcomes:
    """The outcomes of one server's requests.

    Args:
        lifetime: seconds that one is kept.
        max_kept: how many are kept.
        max_bytes: bytes that they may take.
        max_answer_bytes: bytes that the answers to one request may take to be kept.
    """

    def __init__(
        self,
        lifetime: float = 600.0,
        max_kept: int = 100_000,
        max_bytes: int = 64 * 1024 * 1024,
        max_answer_bytes: int = 256 * 1024,
    ) -> None:
        self._lifetime = lifetime
        self._max_kept = max_kept
        self._max_bytes = max_bytes
        self._max_answer_bytes = max_answer_bytes
        self._open: dict[Key, Outcome] = {}
        self._kept: dict[Key, Outcome] = {}  # the oldest first
        self._size = 0

    def __len__(self) -> int:
        return len(self._open) + len(self._kept)

    def find(self, key: Key, now: float) -> Outcome | None:
        """The outcome of a request that was made before, open or kept.

        Args:
            now: monotonic time, in seconds.
        """
        self._trim(now)
        return self._open.get(key) or self._kept.get(key)

    def begin(self, key: Key, request: Event) -> Outcome:
        """A request is being served for the first time."""
        outcome = self._open[key] = Outcome(request)
        return outcome

    def settle(
        self, key: Key, answers: Sequence[Event], size: int, error: RequestError | None, now: float
    ) -> None:
        """The request has been served; whoever waits for it is told.

        Args:
            answers: the events that answered.
            size: bytes they take.
            error: how it failed; one that may be retried is told to those who wait, and not kept.
            now: monotonic time, in seconds.
        """
        outcome = self._open.pop(key)
        outcome.answers = answers if size <= self._max_answer_bytes else None
        outcome.error = error
        outcome.settled.set()
        if error is None or not error.code.retryable:
            outcome.expires = now + self._lifetime
            outcome.size = _OVERHEAD + (size if outcome.answers is not None else 0)
            self._size += outcome.size
            self._kept[key] = outcome
            self._trim(now)

    def _trim(self, now: float) -> None:
        kept = self._kept
        while kept:
            key, oldest = next(iter(kept.items()))
            fits = len(kept) <= self._max_kept and self._size <= self._max_bytes
            if fits and oldest.expires > now:
                return
            del kept[key]
            self._size -= oldest.size
