"""Which events tell of a job: declared with it, and looked at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from lbproto.errors import UsageError
from lbproto.events import ErrorEvent, Event

__all__ = ["JobPolicy", "Stages"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """The events of a job, from its start to its end. All but the failure are optional.

    Attributes:
        failure: ends a job that has failed, was cancelled, or was refused before it began.
        start: told first. If it needs only the id and fields that the request has too, it is made
            for the handler; otherwise the handler gives it to `Job.start`.
        progress: how far the job is; a field `pct` never goes backwards.
        output: one part of the result.
        closing: makes a last `output`, which says that there is no more, told just before the end,
            whichever it is, if the job has been started. It is called with the request, the job's
            id, and how many outputs were told: None for a job that was lost with its node. It must
            not raise.
        before_terminal: told after that. Made like `start`, for which it has to be possible.
        success: ends a job that has succeeded: what its handler returns.
        id: the field of these events that names the job.
        group: a field of the request; `cancel` takes its value, too, for all jobs that have it.
        waiting: how many jobs of a group may wait. They begin one at a time, in the order in which
            they were accepted; those that would be too many are refused with `OVERLOADED`. None
            lets all run at once.
    """

    failure: type[ErrorEvent]
    start: type[Event] | None = None
    progress: type[Event] | None = None
    output: type[Event] | None = None
    closing: Callable[[Any, str, int | None], Event] | None = None
    before_terminal: type[Event] | None = None
    success: type[Event] | None = None
    id: str = "job_id"
    group: str | None = None
    waiting: int | None = None

    @property
    def events(self) -> list[type[Event]]:
        """All event classes of the stages."""
        stages = (self.start, self.progress, self.output, self.before_terminal, self.success)
        return [*(stage for stage in stages if stage is not None), self.failure]

    def check(self, request: type[Event]) -> None:
        """Check that lbproto can construct the events that it sends itself.

        Raises:
            UsageError: it cannot, for want of a field or of an output.
        """
        if self.closing is not None and self.output is None:
            raise UsageError(
                "what closes the output of a job is an output: say which event that is"
            )
        if self.group is not None and self.group not in request.__struct_fields__:
            raise UsageError(f"{request.__qualname__} has no field {self.group!r} to group jobs by")
        if self.waiting is not None and self.group is None:
            raise UsageError("jobs wait for others of their group: say which field that is")
        known = {self.id, *request.__struct_fields__}
        if self.before_terminal is not None:
            _check(self.before_terminal, known, request)
        _check(self.failure, {*known, *ErrorEvent.__struct_fields__, "event"}, request)

    def makes_start(self, request: type[Event]) -> bool:
        """Whether the start needs nothing that lbproto does not know."""
        known = {self.id, *request.__struct_fields__}
        return self.start is not None and not _missing(self.start, known)


@dataclass(frozen=True, slots=True)
class JobPolicy:
    """The policy of a request that is served as a job.

    Attributes:
        stages: its events.
        makes_start: whether its start is told before its handler runs.
        timeout: seconds that it may take; None for any time.
    """

    stages: Stages
    makes_start: bool
    timeout: float | None


def _check(stage: type[Event], known: set[str], request: type[Event]) -> None:
    missing = ", ".join(_missing(stage, known))
    if missing:
        raise UsageError(
            f"{stage.__qualname__} cannot be made for {request.__qualname__}: "
            f"give {missing} a default, or the request a field of that name"
        )


def _missing(stage: Any, known: set[str]) -> list[str]:
    needed = {field.name for field in msgspec.structs.fields(stage) if field.required}
    return sorted(needed - known)
