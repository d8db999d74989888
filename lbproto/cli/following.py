"""The job that a request may have begun, for who does not know its stages.

Theory of operation. The names of stages are a plugin's own. It is a habit only that `x_started`
(of a chat, `x_typing`) is followed by `x_completed` (`x_response`) or by `x_error`. So the server
is asked: an event names its job in a field, and `attach` tells whether a job of this name is
running. About a new name that is asked at once. What is known to run is asked about when nothing
has come for a second, then for two, for four, until it runs no more. Values of the request, as of
a conversation, name no job: those are the server's to make.

A job that its events do not name is known by habit alone. It is given up when nothing has come for
two minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lbproto.cli.client import Heard
from lbproto.cli.failure import Failure
from lbproto.errors import ErrorCode
from lbproto.messages import Attach, Attached

__all__ = ["Following"]

_FIRST_ASK_SECONDS = 1.0  # seconds without a word until it is asked whether the job is running
_LAST_ASK_SECONDS = 30.0  # seconds between two such questions at most
_GIVE_UP_SECONDS = 120.0  # without a word from a job that cannot be asked about
_LATER = 2**31 - 1  # more events than a job tells: none is told again
_MAX_ID_LENGTH = 128  # characters of a job's id
_MAX_NAMES = 8  # names that a job may have, until it is known

_HABITS = {"_started": "_completed", "_typing": "_response"}


class Following:
    """What has come of a request, and of its job.

    Args:
        data: the request's payload.

    Attributes:
        runs: whether there may be a job whose end is still to come.
    """

    def __init__(self, data: Any) -> None:
        self.runs = False
        self._given = set(_texts(data))
        self._begin = ""  # the first answer's name; "" as long as there is none
        self._ends: tuple[str, ...] = ()  # by habit
        self._id = ""  # of a job that was found running
        self._names: list[str] = []  # which may be its id, and are to be asked about
        self._asked = ""  # what no answer has come about yet
        self._is_due = False  # whether it is to be asked now
        self._wait = _FIRST_ASK_SECONDS

    @property
    def names(self) -> list[str]:
        """What the job may be called, most likely first; none where nothing is known."""
        return [self._id] if self._id else self._names[:_MAX_NAMES]

    @property
    def patience(self) -> float | None:
        """Seconds to wait for the next event, before `silent`; None for any time."""
        if not self.runs:
            return None
        return self._wait if self.names else _GIVE_UP_SECONDS

    def question(self) -> Attach | None:
        """What to ask the server now; it is to be asked once."""
        if not (self.runs and self._is_due and self.names) or self._asked:
            return None
        self._is_due, self._asked = False, self.names[0]
        return Attach(id=self._asked, after=_LATER)

    def silent(self) -> None:
        """Nothing has come for as long as there was patience for.

        Raises:
            Failure: nothing can be asked, or nothing is answered.
        """
        if not self.names:
            raise Failure(
                f"nothing has come for {_GIVE_UP_SECONDS:g} s since {self._begin!r}, which names "
                "no job to ask about: whether one is running is not known"
            )
        if self._asked and self._wait >= _LAST_ASK_SECONDS:
            raise Failure(
                f"the server does not say whether the job {self._asked!r} is running: "
                "try again later"
            )
        self._wait = min(2 * self._wait, _LAST_ASK_SECONDS)
        self._is_due = not self._asked

    def hear(self, heard: Heard) -> None:
        """An event answers the request."""
        self._wait = _FIRST_ASK_SECONDS
        is_first = not self._begin
        if is_first:
            self._begin = heard.event
            self._ends = tuple(_ends_of(heard.event))
        if heard.event in self._ends or (is_first and heard.refusal):
            self.runs = False
            return
        if not self._id:
            found = [*self._new(heard.data)]
            self._names += found
            self._is_due = self._is_due or bool(found)
        if is_first:
            self.runs = bool(self._names) or (bool(self._ends) and any(_texts(heard.data)))
        elif heard.refusal:
            self._is_due = True  # most likely the end

    def answered(self, answer: Heard) -> bool:
        """An event answers what was asked; whether that is all that it tells."""
        if answer.event == Attached.event_name:
            self._id, self._asked = self._asked or self._id, ""
            self._names.clear()
            return True
        asked = isinstance(answer.data, dict) and answer.data.get("event") == Attach.event_name
        if not (asked and answer.refusal):
            return False
        name, self._asked = self._asked, ""
        if answer.data.get("code") == ErrorCode.NOT_FOUND:
            self._is_none(name)
        return True

    def _is_none(self, name: str) -> None:
        """No job of this name is running."""
        if name in self._names:
            self._names.remove(name)
        self.runs = bool(self._names)
        self._is_due = True

    def _new(self, data: Any) -> Iterator[str]:
        """What may name the job: fields that say they are ids; by habit, any."""
        ids = [text for field, text in _fields(data) if field.lower().endswith("id")]
        others = _texts(data) if self._ends else ()
        for text in dict.fromkeys((*ids, *others)):
            if text not in self._given and len(text) <= _MAX_ID_LENGTH:
                self._given.add(text)
                yield text


def _ends_of(begin: str) -> Iterator[str]:
    for habit, end in _HABITS.items():
        if begin.endswith(habit):
            stem = begin.removesuffix(habit)
            yield from (stem + end, stem + "_error")


def _fields(data: Any) -> Iterator[tuple[str, str]]:
    for name, value in data.items() if isinstance(data, dict) else ():
        if isinstance(value, str) and value:
            yield name, value


def _texts(data: Any) -> Iterator[str]:
    return (text for _, text in _fields(data))
