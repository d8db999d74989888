"""The events and jobs that a client knows, by name. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from lbproto import messages
from lbproto.client.codecs import Heard
from lbproto.errors import UsageError
from lbproto.events import Event, camel_case
from lbproto.jobs.stages import Stages
from lbproto.validation.mistakes import check_class
from lbproto.wire.settings import ProtocolError

__all__ = ["Vocabulary"]

R = TypeVar("R", bound=Event)

_SYSTEM = (
    messages.AnswersLost,
    messages.Attached,
    messages.Connected,
    messages.CreditBalanceUpdated,
    messages.CreditsDeducted,
    messages.CreditsGranted,
    messages.CreditsInsufficient,
    messages.Error,
    messages.EventsDropped,
    messages.Pong,
    messages.RateLimitError,
    messages.Recovered,
    messages.ServerDraining,
    messages.SessionExpiring,
    messages.SessionLost,
    messages.Subscribed,
    messages.Unsubscribed,
    messages.UserJoinedRoom,
    messages.UserLeftRoom,
    messages.ValidationError,
)


class Vocabulary:
    """The events of one client; those that every server has are known to all.

    Args:
        events: classes of further ones that the server sends.
        jobs: the stages of requests that are jobs, which are known by that.

    Raises:
        UsageError: two classes have one name; or the success of a job is told by no event, or one
            of its events does not name it.
    """

    def __init__(self, events: Iterable[type[Event]], jobs: Mapping[type[R], Stages]) -> None:
        self._known: dict[str, type[Event]] = {each.event_name: each for each in _SYSTEM}
        self._jobs: dict[Any, Stages] = dict(jobs)
        self._names: dict[str, type[msgspec.Struct]] = {}  # reads a job's id, by a stage's name
        for event in events:
            self.add(event)
        for request, stages in self._jobs.items():
            if stages.success is None:
                raise UsageError(
                    f"the success of {request.__qualname__} is told by no event: "
                    "a client cannot tell when it is over"
                )
            for stage in stages.events:
                if stages.id not in stage.__struct_fields__:
                    raise UsageError(
                        f"{stage.__qualname__} has no {stages.id!r} to name the job by: a client "
                        f"cannot follow {request.__qualname__}, only listen to its events"
                    )
            reader = msgspec.defstruct("_Id", [("id", str)], rename={"id": camel_case(stages.id)})
            for stage in stages.events:
                self.add(stage)
                self._names[stage.event_name] = reader

    def add(self, event: type[Event]) -> None:
        """Get to know an event.

        Raises:
            UsageError: it is not a class of events, or another class has its name.
        """
        check_class(event, "a client knows events by their classes, as in listen(OrderPlaced)")
        known = self._known.setdefault(event.event_name, event)
        if known is not event:
            raise UsageError(
                f"{known.__qualname__} and {event.__qualname__} are both called "
                f"{event.event_name!r}"
            )

    def known(self, name: str) -> type[Event] | None:
        """The class of an event; None for an unknown one."""
        return self._known.get(name)

    def classes(self) -> list[type[Any]]:
        """All that are known."""
        return list(self._known.values())

    def stages(self, request: type[Event]) -> Stages:
        """The stages of a request that is a job.

        Raises:
            UsageError: this client knows no job of that name.
        """
        try:
            return self._jobs[request]
        except KeyError:
            name = request.__qualname__
            raise UsageError(
                f"{name} is not a job that this client knows: Client(..., jobs={{{name}: STAGES}})"
            ) from None

    def job(self, heard: Heard) -> str | None:
        """The id of the job that an event tells of; None where it tells of none."""
        reader = self._names.get(heard.name)
        if reader is None:
            return None
        try:
            id_: str = getattr(heard.payload.into(reader), "id")  # noqa: B009 - made at run time
        except ProtocolError:
            return None  # whose it is, cannot be known
        return id_
