"""Errors as data: one envelope, codes that say whether a client may try again.

Everything a peer can cause is a `RequestError`: it becomes an envelope on the wire and never
reaches the host application. Mistakes of the programmer (an event nobody declared, a server that
does not run) are `UsageError`: they are raised where they are made and say what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from math import ceil
from typing import ClassVar

__all__ = [
    "BY_CODE",
    "Cancelled",
    "ErrorCode",
    "InsufficientCredits",
    "Internal",
    "InvalidRequest",
    "LimitExceeded",
    "NotFound",
    "Overloaded",
    "RateLimited",
    "RequestError",
    "RequestTimeout",
    "Unauthorized",
    "UsageError",
    "envelope",
]


class ErrorCode(StrEnum):
    """The codes of the error envelope. The first four are published, the others are extensions."""

    RATE_LIMITED = "RATE_LIMITED"
    UNAUTHORIZED = "UNAUTHORIZED"
    NOT_FOUND = "NOT_FOUND"
    INTERNAL = "INTERNAL"
    INVALID_REQUEST = "INVALID_REQUEST"
    INSUFFICIENT_CREDITS = "INSUFFICIENT_CREDITS"
    CANCELLED = "CANCELLED"
    TIMEOUT = "TIMEOUT"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    OVERLOADED = "OVERLOADED"

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later without being changed."""
        return self in _RETRYABLE


_RETRYABLE = frozenset(
    {
        ErrorCode.RATE_LIMITED,
        ErrorCode.INTERNAL,
        ErrorCode.TIMEOUT,
        ErrorCode.OVERLOADED,
    }
)


def envelope(code: ErrorCode, message: str, retry_after: int | None) -> dict[str, object]:
    """The envelope as an acknowledgement carries it; `retry_after` in whole seconds."""
    body: dict[str, object] = {"code": code, "message": message}
    if retry_after is not None:
        body["retryAfter"] = retry_after
    return body


class RequestError(Exception):
    """A refusal that the client is told about, in the envelope `{code, message, retryAfter?}`.

    Raise one of its subclasses from a handler. `message` is shown to the client as it is, so it
    names what to do and holds no secret. `retry_after` is in seconds; on the wire it is whole
    seconds, rounded up, so that a client that waits for it is never early.
    """

    code: ClassVar[ErrorCode]

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after

    @property
    def retry_after_seconds(self) -> int | None:
        """`retry_after` as the envelope has it."""
        return None if self.retry_after is None else ceil(self.retry_after)


class RateLimited(RequestError):
    """A per-socket or per-user throttle was exceeded."""

    code = ErrorCode.RATE_LIMITED


class Unauthorized(RequestError):
    """The caller is not known, or may not do this."""

    code = ErrorCode.UNAUTHORIZED


class NotFound(RequestError):
    """What the request names does not exist; the message says what does, where that is short."""

    code = ErrorCode.NOT_FOUND


class Internal(RequestError):
    """The server failed; the client gets an incident id that is also in the log."""

    code = ErrorCode.INTERNAL


class InvalidRequest(RequestError):
    """The payload fails its schema or its rules; the message names the path."""

    code = ErrorCode.INVALID_REQUEST


class InsufficientCredits(RequestError):
    """The account holds less than the request costs: `required` and `available`, in credits."""

    code = ErrorCode.INSUFFICIENT_CREDITS

    def __init__(
        self,
        message: str,
        *,
        required: int = 0,
        available: int = 0,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.required = required
        self.available = available


class Cancelled(RequestError):
    """The work was cancelled by its user."""

    code = ErrorCode.CANCELLED


class RequestTimeout(RequestError):
    """The work took longer than its limit."""

    code = ErrorCode.TIMEOUT


class LimitExceeded(RequestError):
    """A fixed limit was exceeded; waiting does not help, a smaller request does."""

    code = ErrorCode.LIMIT_EXCEEDED


class Overloaded(RequestError):
    """Too busy, or a backend cannot be reached; the same request may succeed later."""

    code = ErrorCode.OVERLOADED


BY_CODE: Mapping[str, type[RequestError]] = {
    each.code.value: each
    for each in (
        RateLimited,
        Unauthorized,
        NotFound,
        Internal,
        InvalidRequest,
        InsufficientCredits,
        Cancelled,
        RequestTimeout,
        LimitExceeded,
        Overloaded,
    )
}
"""The error of each code."""


class UsageError(RuntimeError):
    """A mistake in the program that embeds lbproto; the message says how to mend it."""
