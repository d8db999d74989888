"""Errors as data: codes, whether to retry, and when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproto import (
    Cancelled,
    ErrorCode,
    InsufficientCredits,
    Internal,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    Overloaded,
    RateLimited,
    RequestError,
    RequestTimeout,
    Unauthorized,
    UsageError,
)
from lbproto.errors import BY_CODE

CODES: dict[type[RequestError], tuple[str, bool]] = {
    RateLimited: ("RATE_LIMITED", True),
    Unauthorized: ("UNAUTHORIZED", False),
    NotFound: ("NOT_FOUND", False),
    Internal: ("INTERNAL", True),
    InvalidRequest: ("INVALID_REQUEST", False),
    InsufficientCredits: ("INSUFFICIENT_CREDITS", False),
    Cancelled: ("CANCELLED", False),
    RequestTimeout: ("TIMEOUT", True),
    LimitExceeded: ("LIMIT_EXCEEDED", False),
    Overloaded: ("OVERLOADED", True),
}


@pytest.mark.parametrize(("error", "expected"), CODES.items(), ids=str)
def test_every_error_has_its_code_and_says_whether_to_retry(
    error: type[RequestError], expected: tuple[str, bool]
) -> None:
    code, retryable = expected
    assert error("x").code == code
    assert error.code.retryable is retryable


def test_every_code_has_an_error() -> None:
    assert {code.value: BY_CODE[code] for code in ErrorCode} == BY_CODE
    assert set(BY_CODE.values()) == CODES.keys()


def test_the_message_is_what_the_client_is_shown() -> None:
    error = NotFound("no such table")
    assert (error.message, str(error), error.retry_after_seconds) == (
        "no such table",
        "no such table",
        None,
    )


@pytest.mark.parametrize(("seconds", "told"), [(0.0, 0), (0.001, 1), (1.0, 1), (1.5, 2), (60, 60)])
def test_retry_after_is_rounded_up(seconds: float, told: int) -> None:
    assert RateLimited("x", retry_after=seconds).retry_after_seconds == told


@given(st.floats(0, 1e6))
def test_a_client_that_waits_as_told_is_never_early(seconds: float) -> None:
    told = RateLimited("x", retry_after=seconds).retry_after_seconds
    assert told is not None
    assert 0 <= told - seconds <= 1


def test_a_mistake_of_the_programmer_is_no_refusal() -> None:
    assert not issubclass(UsageError, RequestError)
