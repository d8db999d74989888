"""Calls between the event loop and the thread of a `SQLiteFile`."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, Generic, Protocol, TypeVar, cast

__all__ = ["Call", "Command", "Done", "Reading", "Tables"]

T = TypeVar("T")


class Done(Protocol):
    """A one-time future: asyncio's, or its equivalent under trio."""

    def __await__(self) -> Generator[Any, Any, None]: ...

    def done(self) -> bool:
        """Whether it is waited for no longer: it was set, or the task was cancelled."""
        ...

    def set_result(self, result: None, /) -> None:
        """Have the task go on, unless that is `done`."""
        ...


class Call(Generic[T]):
    """A pending call; a plain `Call` has no result, only its end.

    Attributes:
        done: set in the event loop; None where nobody waits.
        error: what is raised for an answer.
        answer: unless there is an error.
    """

    __slots__ = ("answer", "done", "error")

    def __init__(self) -> None:
        self.done: Done | None = None
        self.error: BaseException | None = None
        self.answer: T | None = None

    def result(self) -> T:
        """What is answered, once it is done.

        Raises:
            BaseException: the error.
        """
        if self.error is not None:
            raise self.error
        return cast(T, self.answer)


class Command(Call[T]):
    """A change of the file; each kind of file has its own subclass."""

    __slots__ = ()


class Reading(Call[T]):
    """A look at what is committed.

    Args:
        read: is given the file's tables.
    """

    __slots__ = ("read",)

    def __init__(self, read: Callable[[Any], T]) -> None:
        super().__init__()
        self.read = read


class Tables(Protocol):
    """The tables of a file, used in its thread."""

    def commit(self, commands: Sequence[Any]) -> None:
        """Have commands change the file, one after the other, in one transaction.

        One that raises has its error, has written nothing, and takes no other with it.

        Raises:
            Exception: nothing is committed: the file cannot be written, or something of what a
                command comes to cannot be kept.
        """
        ...

    def close(self) -> None:
        """Close the file."""
        ...
