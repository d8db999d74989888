"""A job's stages, in order, and its one end. Pure: time comes in as an argument.

Theory of operation. What happens to a job and what is told of it is a table:

    state      start      progress           output             success            failure
    ACCEPTED   RUNNING    RUNNING            RUNNING            ENDED              ENDED
               given      start, given       start, given       start, last, given given
    RUNNING    a mistake  RUNNING            RUNNING            ENDED              ENDED
                          given              given              last, given        last, given
    ENDED      nothing    nothing            nothing            nothing            nothing

`given` is the event that comes with what happens; `start` and `last` are made: `last` is what
closes the output, and the event before the end, where there are such. So a job that is refused
before it has begun tells of its failure only; one that has begun ends once, whoever is first with
an end: its handler, a cancellation, a deadline; and nothing is told after that.

Progress is told at most five times a second, and never goes back.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from math import inf
from typing import Any

import msgspec

from lbproto.errors import UsageError
from lbproto.events import ErrorEvent, Event
from lbproto.jobs.stages import Stages

__all__ = ["Lifecycle", "State"]

_PROGRESS_EVERY = 0.2  # seconds
_WHOLE = 100  # per cent


class State(Enum):
    """The states of a job."""

    ACCEPTED = auto()
    RUNNING = auto()
    ENDED = auto()


class _Input(Enum):
    START = auto()
    PROGRESS = auto()
    OUTPUT = auto()
    SUCCESS = auto()
    FAILURE = auto()


class _Step(Enum):
    GIVEN = auto()
    START = auto()
    LAST = auto()


_TABLE: dict[tuple[State, _Input], tuple[State, tuple[_Step, ...]]] = {
    (State.ACCEPTED, _Input.START): (State.RUNNING, (_Step.GIVEN,)),
    (State.ACCEPTED, _Input.PROGRESS): (State.RUNNING, (_Step.START, _Step.GIVEN)),
    (State.ACCEPTED, _Input.OUTPUT): (State.RUNNING, (_Step.START, _Step.GIVEN)),
    (State.ACCEPTED, _Input.SUCCESS): (State.ENDED, (_Step.START, _Step.LAST, _Step.GIVEN)),
    (State.ACCEPTED, _Input.FAILURE): (State.ENDED, (_Step.GIVEN,)),
    (State.RUNNING, _Input.PROGRESS): (State.RUNNING, (_Step.GIVEN,)),
    (State.RUNNING, _Input.OUTPUT): (State.RUNNING, (_Step.GIVEN,)),
    (State.RUNNING, _Input.SUCCESS): (State.ENDED, (_Step.LAST, _Step.GIVEN)),
    (State.RUNNING, _Input.FAILURE): (State.ENDED, (_Step.LAST, _Step.GIVEN)),
    **{(State.ENDED, input_): (State.ENDED, ()) for input_ in _Input},
}


class Lifecycle:
    """The state machine of one job.

    Args:
        stages: its events.
        make: makes its start.
        make_last: makes what is told just before the end, of how many outputs were told.

    Attributes:
        state: how far it is.
    """

    __slots__ = ("_make", "_make_last", "_outputs", "_pct", "_stages", "_told_at", "state")

    def __init__(
        self,
        stages: Stages,
        make: Callable[[type[Event]], Event],
        make_last: Callable[[int], list[Event]],
    ) -> None:
        self.state = State.ACCEPTED
        self._stages = stages
        self._make = make
        self._make_last = make_last
        self._outputs = 0
        self._told_at = -inf  # when progress was told last
        self._pct: Any = 0

    def start(self, event: Event | None) -> list[Event]:
        """It has begun; None has the start made.

        Returns:
            What is to be told, in order; the same for all of these.

        Raises:
            UsageError: it has begun before, or this is not the event declared for it; the latter
                for all of these.
        """
        stage = self._stages.start
        if event is None and stage is not None and self.state is State.ACCEPTED:
            event = self._make(stage)
        return self._step(_Input.START, event, stage)

    def progress(self, event: Event, now: float) -> list[Event]:
        """Progress was made; throttled.

        Args:
            event: its `pct`, where it has one, is from 0 to 100.
            now: monotonic time, in seconds.
        """
        pct: Any = getattr(event, "pct", None)
        if pct is not None:
            self._pct = max(self._pct, min(pct, _WHOLE))
        if self.state is State.RUNNING and now < self._told_at + _PROGRESS_EVERY:
            self._check(event, self._stages.progress)
            return []
        if pct is not None and pct != self._pct:
            event = msgspec.structs.replace(event, pct=self._pct)
        self._told_at = now
        return self._step(_Input.PROGRESS, event, self._stages.progress)

    def output(self, event: Event) -> list[Event]:
        """A part of its result is there."""
        told = self._step(_Input.OUTPUT, event, self._stages.output)
        self._outputs += bool(told)
        return told

    def succeed(self, event: Event | None) -> list[Event]:
        """The job has succeeded."""
        return self._step(_Input.SUCCESS, event, self._stages.success)

    def fail(self, event: ErrorEvent | None) -> list[Event]:
        """It has failed; None where that is told by something else."""
        state = self.state
        self.state, steps = _TABLE[state, _Input.FAILURE]
        return self._told(steps, event)

    def _step(self, input_: _Input, event: Event | None, stage: type[Event] | None) -> list[Event]:
        self._check(event, stage)
        found = _TABLE.get((self.state, input_))
        if found is None:
            raise UsageError("a job is started once, before its progress and its output")
        self.state, steps = found
        return self._told(steps, event)

    def _told(self, steps: tuple[_Step, ...], given: Event | None) -> list[Event]:
        told: list[Event] = []
        for step in steps:
            if step is _Step.LAST:
                told += self._make_last(self._outputs)
            elif step is _Step.GIVEN:
                told += [] if given is None else [given]
            elif self._stages.start is not None:
                told.append(self._make(self._stages.start))
        return told

    def _check(self, event: Event | None, stage: type[Event] | None) -> None:
        if (None if event is None else type(event)) is not stage:
            name = "no event" if stage is None else stage.__qualname__
            raise UsageError(f"this stage of the job is told by {name}, not by {event!r:.200}")
