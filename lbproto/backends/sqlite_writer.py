"""The thread of a `SQLiteFile`: is given what waits, commits it together, then answers."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any

from lbproto.backends.sqlite_calls import Call, Command, Reading, Tables
from lbproto.errors import Overloaded, UsageError

__all__ = ["Writer"]

# What is wrong with a command, and not with the file.
_ITS_OWN = (
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    sqlite3.DataError,
)


class Writer:
    """The thread, and what waits for it; used from the event loop.

    Args:
        title: what is written, for messages: its kind and its path.
        open_tables: opens the file; called in the thread.
        batch: how many calls are done together, at most.
        call_soon: has the event loop call something, from any thread.
        answer: what that is, with calls that are done.
        logger: is told what goes wrong with the file.
    """

    def __init__(
        self,
        title: tuple[str, str],
        open_tables: Callable[[], Tables],
        batch: int,
        call_soon: Callable[[Callable[[], None]], object],
        answer: Callable[[Sequence[Call[Any]]], None],
        logger: logging.Logger,
    ) -> None:
        self._kind, self._path = title
        self._open_tables = open_tables
        self._batch = batch
        self._call_soon = call_soon
        self._answer = answer
        self._logger = logger
        self._waiting: list[Call[Any]] = []  # until the thread has nothing to do
        self._is_busy = False
        self._queue: SimpleQueue[list[Call[Any]]] = SimpleQueue()

    def start(self, opening: Call[None]) -> None:
        """Begin; `opening` is done when the file is open, or cannot be."""
        name = f"lbproto {self._kind} {self._path}"
        # A daemon: an interpreter that ends without closing the file must not wait for ever.
        Thread(target=self._run, args=(opening,), name=name, daemon=True).start()

    def put(self, call: Call[Any]) -> None:
        """Have it done, together with all that wait by then."""
        self._waiting.append(call)
        if not self._is_busy:
            self._hand_over()

    def stop(self, closing: Call[None]) -> None:
        """End, once what waits is answered; nothing may be put after this."""
        self._waiting.append(closing)
        self._hand_over()

    def _hand_over(self) -> None:
        calls, self._waiting = self._waiting, []
        self._is_busy = bool(calls)
        if calls:
            self._queue.put(calls)

    def _told(self, calls: Sequence[Call[Any]], is_idle: bool) -> None:
        self._answer(calls)
        if is_idle:
            # Once those who are woken have asked for more: a transaction of the first of them
            # takes nearly as long as one of all, and the others would wait for it.
            self._soon(self._hand_over)

    def _soon(self, call: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the event loop has ended, and all who waited with it
            self._call_soon(call)

    # In the thread

    def _run(self, opening: Call[None]) -> None:
        tables = self._open(opening)
        self._tell((opening,))
        if tables is None:
            return
        closing: Call[Any] | None = None
        while closing is None:
            calls = self._queue.get()
            if type(calls[-1]) is Call:
                closing = calls.pop()
            for begin in range(0, len(calls), self._batch):
                end = begin + self._batch
                self._do(tables, calls[begin:end])
                self._tell(calls[begin:end], is_idle=end >= len(calls))
        try:
            tables.close()
        except sqlite3.Error:
            self._logger.exception("The %s %r was not closed cleanly", self._kind, self._path)
        self._tell((closing,))

    def _tell(self, calls: Sequence[Call[Any]], *, is_idle: bool = False) -> None:
        self._soon(partial(self._told, calls, is_idle))

    def _open(self, opening: Call[None]) -> Tables | None:
        try:
            return self._open_tables()
        except sqlite3.Error as error:
            opening.error = UsageError(f"The {self._kind} {self._path!r} cannot be opened: {error}")
            opening.error.__cause__ = error
        except Exception as error:  # noqa: BLE001 - raised where the file is entered
            opening.error = error
        return None

    def _do(self, tables: Tables, calls: Sequence[Call[Any]]) -> None:
        self._commit(tables, [call for call in calls if isinstance(call, Command)])
        for call in calls:
            if isinstance(call, Reading):
                self._read(tables, call)

    def _commit(self, tables: Tables, commands: Sequence[Command[Any]]) -> None:
        """Commit commands together; each has its answer then, or its error."""
        if not commands:
            return
        try:
            tables.commit(commands)
        except Exception as error:
            if _is_of_the_file(error):
                self._logger.error("The %s cannot be written", self._kind, exc_info=error)
                for command in commands:
                    command.error = self._unreachable(error)
            elif len(commands) == 1:
                commands[0].error = error
            else:  # one of them cannot be kept: the others are not to suffer for it
                for command in commands:
                    self._commit(tables, [command])

    def _read(self, tables: Tables, reading: Reading[Any]) -> None:
        try:
            reading.answer = reading.read(tables)
        except Exception as error:  # noqa: BLE001 - raised to the one who has asked
            reading.error = self._unreachable(error) if _is_of_the_file(error) else error

    def _unreachable(self, cause: Exception) -> Overloaded:
        error = Overloaded(f"The {self._kind} cannot be reached; try again", retry_after=1)
        error.__cause__ = cause
        return error


def _is_of_the_file(error: Exception) -> bool:
    return isinstance(error, sqlite3.Error) and not isinstance(error, _ITS_OWN)
