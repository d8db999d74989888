"""What becomes of DuckDB's errors: a code of the envelope, and a message that tells no secret."""

from __future__ import annotations

import re
from collections.abc import Iterable

import duckdb

__all__ = ["OUT_OF_MEMORY", "STOPPED", "Refusal", "is_broken", "is_memory", "refusal_of"]

_MAX_MESSAGE_LENGTH = 300

# DuckDB guesses among everything it has, its own catalogue included.
_GUESS = re.compile(r"\s*(Did you mean|Candidate).*", re.DOTALL)
_PREFIX = re.compile(r"^[A-Z][A-Za-z ]* Error: ")
_UNKNOWN = re.compile(
    r"does not exist|not found|was not found|Cannot extract field|does not have a column"
)
_BOUND = re.compile(r"[Ee]xpression depth limit|too many columns|maximum column", re.IGNORECASE)
_MEMORY = re.compile(
    r"out of memory|failed to allocate|bad_alloc|allocation failure", re.IGNORECASE
)


class Refusal(Exception):
    """A query that is refused or has failed: a code of lbproto's envelope, and the message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


STOPPED = Refusal("OVERLOADED", "The query's worker has stopped; try again")
OUT_OF_MEMORY = Refusal("LIMIT_EXCEEDED", "The query needs more memory than it may have")


def is_broken(error: BaseException) -> bool:
    """Whether DuckDB does nothing any more after it: an error of its own makes it distrust all."""
    return isinstance(error, duckdb.InternalException | duckdb.FatalException)


def is_memory(error: BaseException) -> bool:
    """Whether it says that there is not enough memory, and there may be later."""
    if isinstance(error, Refusal) or is_broken(error):
        return False
    return isinstance(error, MemoryError | duckdb.OutOfMemoryException) or bool(
        _MEMORY.search(str(error))
    )


def refusal_of(error: BaseException, files: Iterable[str]) -> Refusal:
    """What the client is told of an error; what is not the query's own fault is only named.

    Args:
        error: of DuckDB's, or of this program's.
        files: those of the catalogue, which may have gone.
    """
    if isinstance(error, Refusal):
        return error
    text = str(error)
    if is_memory(error) or (isinstance(error, duckdb.InternalException) and _MEMORY.search(text)):
        return OUT_OF_MEMORY
    if isinstance(error, duckdb.FatalException):
        return STOPPED
    if isinstance(error, duckdb.IOException) or any(file in text for file in files):
        return Refusal("OVERLOADED", "The catalogue's data cannot be read; try again")
    if isinstance(error, duckdb.PermissionException):
        return Refusal("UNAUTHORIZED", "The query reaches for what is outside its catalogue")
    if isinstance(error, duckdb.TransactionException) or "read-only" in text:
        return Refusal("UNAUTHORIZED", "Only one SELECT that reads is allowed")
    if is_broken(error) or not isinstance(error, duckdb.Error | RuntimeError):
        return Refusal("INTERNAL", "The query engine has failed")
    message = _shortened(text)
    if _BOUND.search(text):
        return Refusal("LIMIT_EXCEEDED", "The query is nested too deeply")
    if isinstance(error, duckdb.CatalogException | duckdb.BinderException) and _UNKNOWN.search(
        text
    ):
        return Refusal("NOT_FOUND", message)
    return Refusal("INVALID_REQUEST", message)


def _shortened(text: str) -> str:
    first = _GUESS.sub("", _PREFIX.sub("", text)).split("\n", 1)[0].strip()
    return first[:_MAX_MESSAGE_LENGTH] or "The query cannot be run"
