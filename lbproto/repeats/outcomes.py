"""Outcomes of requests with a `requestId`, so that a repeat joins the first. Pure.

Theory of operation. A request is known by its user, its event and the `requestId` that the client
gave it. While the first is served its outcome is open, and repeats wait for it; then it is kept
for a while. Only an outcome that is final is kept: after a failure that may be retried, the next
one is a first again. What is kept is bounded in time, in count and in bytes, for each user and for
all of them: a user who asks for much loses their own oldest outcomes first. Open ones are as many
as requests are being served, which a user's sessions bound, since each serves one at a time.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, NamedTuple, Protocol

import anyio
import msgspec

from lbproto.encoded import json_hook
from lbproto.errors import InvalidRequest, RequestError
from lbproto.events import ErrorEvent, Event

__all__ = ["Answer", "Key", "Outcome", "Outcomes", "digest_of"]

_OVERHEAD = 2_000  # bytes that an outcome takes beside its answers, about
_DIGEST_BYTES = 16

# JSON, because it has integers of any size; in one order, because clients may differ in theirs.
_encoder = msgspec.json.Encoder(order="deterministic", enc_hook=json_hook)
_UNFIT = (TypeError, ValueError, OverflowError)


def digest_of(request: Event) -> bytes:
    """What tells a request from another one, in few bytes, whichever wire it came by.

    Raises:
        InvalidRequest: JSON has nothing for something in it.
    """
    try:
        encoded = _encoder.encode(request)
    except _UNFIT:
        raise InvalidRequest("A payload that JSON cannot hold cannot have a `requestId`") from None
    return blake2b(encoded, digest_size=_DIGEST_BYTES).digest()


class Key(NamedTuple):
    """What a request is known by."""

    user_id: str
    event: str
    request_id: str


class Followed(Protocol):
    """A job, for those who repeat its request while it is under way."""

    @property
    def ended(self) -> bool:
        """Whether its end has been told."""
        ...

    def reaches(self, after: int) -> int:
        """After how many of its events those begin that can still be told from there on."""
        ...

    def watch(self, ctx: Any, after: int) -> None:
        """Tell the session of this request, too; first what it was told after so many events."""
        ...


class Answer(NamedTuple):
    """One event that answered, and whether it said that the request had failed."""

    event: Event
    is_refusal: bool


class Outcome:
    """The outcome of a request, known or pending.

    Args:
        digest: of the first request; a repeat's is the same, or it is a mistake.
        max_bytes: the size that its answers may have.

    Attributes:
        job: the job that the first request has begun; None where it is served at once.
        placed: set once it is known where the request is served: here, or on another node.
        settled: set once it is known.
        answers: what answered, in order; None where it was too large to be kept.
        error: what the handler failed with; None for success.
        final: whether trying again would be of no use, or of harm.
        expires: monotonic time, in seconds.
        size: bytes.
    """

    __slots__ = (
        "_max_bytes",
        "answers",
        "digest",
        "error",
        "expires",
        "final",
        "job",
        "placed",
        "settled",
        "size",
    )

    def __init__(self, digest: bytes, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.digest = digest
        self.job: Followed | None = None
        self.placed = anyio.Event()
        self.settled = anyio.Event()
        self.answers: list[Answer] | None = []
        self.error: RequestError | None = None
        self.final = True
        self.expires = 0.0
        self.size = 0

    def begin(self, job: Followed | None) -> None:
        """It is served here; a repeat may follow its job from now on."""
        self.job = job
        self.placed.set()

    def cut_off(self) -> None:
        """It is served no further: what was told so far leads nowhere, unless an end was told."""
        if self.answers and not self.answers[-1].is_refusal:
            self.answers, self.size = [], 0

    def answer(self, event: Event) -> None:
        """Another event has answered; without effect once the outcome is settled."""
        self._add(event, is_refusal=False)

    def refuse(self, event: ErrorEvent) -> None:
        """Another event has answered, and said that the request failed."""
        self._add(event, is_refusal=True)
        if event.code.retryable and not self.settled.is_set():
            self.final = False

    def _add(self, event: Event, *, is_refusal: bool) -> None:
        if self.answers is None or self.settled.is_set():
            return
        try:
            self.size += len(_encoder.encode(event))
        except _UNFIT:  # it was sent, by a wire that says more: not to be sent again by any
            self.size = self._max_bytes + 1
        if self.size > self._max_bytes:
            self.answers, self.size = None, 0
        else:
            self.answers.append(Answer(event, is_refusal))


class _Share:
    """What is kept of one user's outcomes, or of everybody's: the oldest first."""

    __slots__ = ("kept", "size")

    def __init__(self) -> None:
        self.kept: dict[Key, Outcome] = {}
        self.size = 0

    def add(self, key: Key, outcome: Outcome) -> None:
        self.kept[key] = outcome
        self.size += outcome.size

    def remove(self, key: Key) -> None:
        self.size -= self.kept.pop(key).size

    def exceeds(self, max_kept: int, max_bytes: int) -> bool:
        return len(self.kept) > max_kept or self.size > max_bytes


class Outcomes:
    """The outcomes of one server's requests.

    Args:
        lifetime: seconds that one is kept.
        max_kept: the number of outcomes kept.
        max_bytes: bytes that they may take.
        max_kept_per_user: the number of them that may be one user's.
        max_bytes_per_user: bytes that those may take.
        max_answer_bytes: bytes that the answers to one request may take to be kept.
    """

    def __init__(
        self,
        lifetime: float = 600.0,
        max_kept: int = 100_000,
        max_bytes: int = 64 * 1024 * 1024,
        max_kept_per_user: int = 1_000,
        max_bytes_per_user: int = 4 * 1024 * 1024,
        max_answer_bytes: int = 256 * 1024,
    ) -> None:
        self._lifetime = lifetime
        self._bounds = max_kept, max_bytes
        self._bounds_per_user = max_kept_per_user, max_bytes_per_user
        self._max_answer_bytes = max_answer_bytes
        self._open: dict[Key, Outcome] = {}
        self._all = _Share()
        self._own: dict[str, _Share] = {}

    def __len__(self) -> int:
        return len(self._open) + len(self._all.kept)

    def find(self, key: Key, now: float) -> Outcome | None:
        """The outcome of a request that was made before, open or kept.

        Args:
            now: monotonic time, in seconds.
        """
        self._expire(now)
        return self._open.get(key) or self._all.kept.get(key)

    def begin(self, key: Key, digest: bytes) -> Outcome:
        """A request is being served for the first time; its answers are to be added."""
        outcome = self._open[key] = Outcome(digest, self._max_answer_bytes)
        return outcome

    def settle(self, key: Key, error: RequestError | None, now: float) -> None:
        """The request has been served; whoever waits for it is told.

        Args:
            error: how it failed; one that may be retried is told to those who wait, and not kept.
            now: monotonic time, in seconds.
        """
        outcome = self._open.pop(key)
        outcome.error = error
        outcome.job = None  # with all that it has told, which is not kept
        if error is not None and error.code.retryable:
            outcome.final = False
        outcome.placed.set()
        outcome.settled.set()
        self._expire(now)
        if outcome.final:
            outcome.expires = now + self._lifetime
            outcome.size += _OVERHEAD
            self._keep(key, outcome)

    def _keep(self, key: Key, outcome: Outcome) -> None:
        own = self._own.setdefault(key.user_id, _Share())
        for share in (own, self._all):
            share.add(key, outcome)
        while own.exceeds(*self._bounds_per_user):
            self._drop(next(iter(own.kept)))
        while self._all.exceeds(*self._bounds):
            self._drop(next(iter(self._all.kept)))

    def _expire(self, now: float) -> None:
        kept = self._all.kept
        while kept:
            key, oldest = next(iter(kept.items()))
            if oldest.expires > now:
                return
            self._drop(key)

    def _drop(self, key: Key) -> None:
        own = self._own[key.user_id]
        for share in (own, self._all):
            share.remove(key)
        if not own.kept:
            del self._own[key.user_id]
