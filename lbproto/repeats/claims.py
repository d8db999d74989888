"""Requests with a `requestId`: one node serves each, the others wait for the outcome.

Theory of operation. Whoever is first to write the record of a request has claimed it, and serves
it; then the record says what has become of it, for ten minutes. A node that finds the record of
another waits until it says so. Where what is claimed may be asked for again, the record is removed;
where the node that has claimed it has no lease any more, it has died, and one of those that notice
takes the claim over: the first to write that it does.

    lbproto/requests/<digest of user, event and id>           `_Record`, in JSON
    lbproto/requests/<digest of user, event and id>/<node>    the claim of a dead node is taken over
"""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial
from hashlib import sha256

import anyio
import msgspec

from lbproto.backends.base import Storage
from lbproto.clock import Clock
from lbproto.encoded import json_hook
from lbproto.errors import (
    ErrorCode,
    InsufficientCredits,
    InvalidRequest,
    Overloaded,
    RequestError,
    UsageError,
)
from lbproto.events import ErrorEvent
from lbproto.jobs.records import Records
from lbproto.registry import Registry
from lbproto.repeats.outcomes import Answer, Key, Outcome
from lbproto.scheduling.tasks import StartSoon

__all__ = ["OTHER", "Claims", "Found"]

logger = logging.getLogger(__name__)

_RECORD_SECONDS = 600.0  # seconds that a record is kept; as `Outcomes` has it
_CLAIM_SECONDS = 3_600.0  # seconds that a claim holds at most
_WRITE_TIMEOUT = 1.0  # seconds that a request waits until its outcome is written
_FIRST_POLL, _LAST_POLL = 0.05, 1.0  # seconds between two looks at a record
_RETRY_SECONDS = 5.0  # seconds until a storage that is out of reach is tried again
_MAX_RECORD_BYTES = 512 * 1024  # bytes of a record

OTHER = "The id was given to another request before - at `$.requestId`"

_encoder = msgspec.json.Encoder(enc_hook=json_hook)
_ERRORS = {error.code: error for error in RequestError.__subclasses__()}


class _Failure(msgspec.Struct, array_like=True):
    """A `RequestError`."""

    code: ErrorCode
    message: str
    retry_after: float | None
    required: int = 0
    available: int = 0


class _Record(msgspec.Struct):
    """A request.

    Attributes:
        node: the node that has claimed it.
        digest: of what it asks for.
        answers: names and payloads of what answered it, and whether that was a refusal; None where
            it was too large to be kept.
        error: the error it failed with.
        is_settled: whether it has been served.
    """

    node: str
    digest: bytes
    answers: list[tuple[str, msgspec.Raw, bool]] | None = None
    error: _Failure | None = None
    is_settled: bool = False


_decoder = msgspec.json.Decoder(_Record)


class Found(msgspec.Struct):
    """The outcome of a request on another node; `size` in bytes.

    `answers` are None where they were too large to be kept.
    """

    answers: list[Answer] | None
    error: RequestError | None
    size: int


class Claims:
    """The claims of one node, and those of the others.

    Args:
        storage: where they are; a durable one.
        records: knows which nodes live.
        registry: the events that there are.
        clock: measures when it is looked again.
        start_soon: starts a task that lives no longer than the server.
    """

    def __init__(
        self,
        storage: Storage,
        records: Records,
        registry: Registry,
        clock: Clock,
        start_soon: StartSoon,
    ) -> None:
        self._storage = storage
        self._records = records
        self._registry = registry
        self._clock = clock
        self._start_soon = start_soon
        self._late: set[str] = set()  # names of records that are still to be written
        self._unsure: set[str] = set()  # and of those that may be our claims

    async def claim(self, key: Key, digest: bytes) -> Found | None:
        """Claim a request, or wait until the node that claimed it has served it.

        Returns:
            What has become of it; None where it is ours to serve.

        Raises:
            InvalidRequest: the id was given to another request.
            Overloaded: the storage cannot be reached.
        """
        name = _name(key)
        if name in self._late:  # what is still to be written would undo what is served now
            raise Overloaded("The storage was out of reach: try again", retry_after=_RETRY_SECONDS)
        mine = _encoder.encode(_Record(self._records.node, digest))
        try:
            return await self._claim(name, digest, mine)
        except Overloaded:  # it may be claimed all the same, and nobody serves it
            with suppress(UsageError):  # the server stops: another node takes the claim over
                self._start_soon(partial(self._give_up_later, name, mine))
                self._unsure.add(name)
            raise

    async def _claim(self, name: str, digest: bytes, mine: bytes) -> Found | None:
        wait = _FIRST_POLL
        while not await self._storage.put_new(name, mine, ttl=_CLAIM_SECONDS):
            value = await self._storage.get(name)
            if value is None:
                continue
            if value == mine and name in self._unsure:
                break
            record = _decoder.decode(value)
            if record.digest != digest:
                raise InvalidRequest(OTHER)
            if record.is_settled:
                return Found(self._answers(record), _error(record.error), len(value))
            if await self._takes_over(name, record.node, wait):
                await self._storage.put(name, mine, ttl=_CLAIM_SECONDS)
                return None
            await self._clock.sleep(wait)
            wait = min(2 * wait, _LAST_POLL)
        self._unsure.discard(name)
        return None

    async def _takes_over(self, name: str, node: str, wait: float) -> bool:
        """Take over the claim of a dead node; False if another node was first."""
        if node == self._records.node:  # we know of none: it was cut off, or is just being settled
            return wait >= _LAST_POLL
        if await self._records.lives(node):
            return False
        return await self._storage.put_new(f"{name}/{node}", b"", ttl=_RECORD_SECONDS)

    async def settle(self, key: Key, outcome: Outcome) -> None:
        """Publish the outcome of a claimed request to the other nodes; never raises."""
        name = _name(key)
        value = self._record(outcome) if outcome.final else None
        is_written = False
        with anyio.move_on_after(_WRITE_TIMEOUT, shield=True):
            is_written = await self._write(name, value)
        if not is_written:
            logger.warning("Other nodes are told later what has become of a request")
            with suppress(UsageError):  # the server stops: another node serves it again
                self._start_soon(partial(self._write_later, name, value))
                self._late.add(name)

    async def _write_later(self, name: str, value: bytes | None) -> None:
        until, is_written = self._clock.monotonic() + _RECORD_SECONDS, False
        try:
            while not is_written and self._clock.monotonic() < until:
                await self._clock.sleep(_RETRY_SECONDS)
                is_written = await self._write(name, value)
        finally:
            self._late.discard(name)

    async def _give_up_later(self, name: str, mine: bytes) -> None:
        """Remove a claim that may have been written, unless the request is served here since."""
        until = self._clock.monotonic() + _RECORD_SECONDS
        while name in self._unsure and self._clock.monotonic() < until:
            await self._clock.sleep(_RETRY_SECONDS)
            with suppress(Overloaded):
                is_there = await self._storage.get(name) == mine
                if name in self._unsure:
                    self._unsure.discard(name)
                    if is_there:
                        await self._give_up(name)
        self._unsure.discard(name)

    async def _give_up(self, name: str) -> None:
        try:
            await self._storage.delete(name)
        except Overloaded:
            self._unsure.add(name)
            raise

    async def _write(self, name: str, value: bytes | None) -> bool:
        try:
            if value is None:
                await self._storage.delete(name)
            else:
                await self._storage.put(name, value, ttl=_RECORD_SECONDS)
        except Exception:  # of any storage; what was served is served
            logger.exception("what has become of a request could not be written")
            return False
        return True

    def _record(self, outcome: Outcome) -> bytes:
        error = outcome.error
        failure = None
        if error is not None:
            failure = _Failure(error.code, error.message, error.retry_after)
            if isinstance(error, InsufficientCredits):
                failure.required, failure.available = error.required, error.available
        record = _Record(self._records.node, outcome.digest, None, failure, is_settled=True)
        if outcome.answers is not None:
            record.answers = [
                (event.event_name, msgspec.Raw(_encoder.encode(event)), is_refusal)
                for event, is_refusal in outcome.answers
            ]
        value = _encoder.encode(record)
        if len(value) > _MAX_RECORD_BYTES:
            record.answers = None
            value = _encoder.encode(record)
        return value

    def _answers(self, record: _Record) -> list[Answer] | None:
        answers: list[Answer] = []
        for name, payload, is_refusal in record.answers or ():
            event = self._registry.restored(name, payload)
            if event is None or (
                is_refusal and not isinstance(event, ErrorEvent)
            ):  # its plugin is not what it is there
                return None
            answers.append(Answer(event, is_refusal))
        return None if record.answers is None else answers


def _error(failure: _Failure | None) -> RequestError | None:
    if failure is None:
        return None
    error = _ERRORS[failure.code](failure.message, retry_after=failure.retry_after)
    if isinstance(error, InsufficientCredits):
        error.required, error.available = failure.required, failure.available
    return error


def _name(key: Key) -> str:
    """Of bounded length, and no two the same."""
    digest = sha256(msgspec.json.encode(key)).hexdigest()
    return f"lbproto/requests/{digest}"
