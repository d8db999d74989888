"""What the event loop and the thread of a `SQLiteLedger` hand each other."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

from lbproto.ledger.account import Account, Change, Outcome

if TYPE_CHECKING:
    from lbproto.ledger.sqlite_tables import Tables

__all__ = ["Call", "Command", "Done", "Reading"]

T = TypeVar("T")


class Done(Protocol):
    """What one task waits for, once: a future of asyncio, or the like of it."""

    def __await__(self) -> Generator[Any, Any, None]: ...

    def done(self) -> bool:
        """Whether it is waited for no longer: it was set, or the task was cancelled."""
        ...

    def set_result(self, result: None, /) -> None:
        """Have the task go on, unless that is `done`."""
        ...


class Call(Generic[T]):
    """What somebody waits for; nothing but that it is done, where it is no subclass.

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


class Command(Call[Outcome[T]]):
    """A change of an account."""

    __slots__ = ("account", "change", "transaction_id")

    def __init__(self, account: Account, transaction_id: str, change: Change[T]) -> None:
        self.done = None  # what `super` would do, in half the time: there are many of these
        self.error = None
        self.answer = None
        self.account = account
        self.transaction_id = transaction_id
        self.change = change


class Reading(Call[T]):
    """A look at what is committed."""

    __slots__ = ("read",)

    def __init__(self, read: Callable[[Tables], T]) -> None:
        super().__init__()
        self.read = read
