"""A job ends once, soon after it is cancelled, and nothing is told of it after that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lbproto.events import ErrorEvent, Event
from lbproto.jobs.records import restarted
from lbproto.jobs.stages import Stages
from lbproto.messages import AnswersLost, Cancel, Recovered
from lbproto.simulator.checks.base import Check
from lbproto.simulator.guest import Asked, Guest
from lbproto.simulator.plan import DEATHS, Kind
from lbproto.simulator.yard import DigDone, DigFound

__all__ = ["Jobs"]

_CANCELLED = 2.5  # seconds: 0.25 that the server has, and what the network takes at most
_LEASES = (*DEATHS, Kind.STOP, Kind.REFUSE, Kind.STEP, Kind.FORGET)
"""What may have another node take a job for lost that is not, or was told of."""


@dataclass(slots=True)
class _Told:
    """What one session was told of a job."""

    began: bool = False
    found: int = 0
    ended: Event | None = None
    is_lost: bool = False  # the session was told that something of it may be
    lost_in: int = 0  # the last stay in which it was told that the job was lost


class Jobs(Check):
    """Follows every job through its stages, as clients see them."""

    def begin(self) -> None:
        self._told: dict[tuple[str, int, str], _Told] = {}  # by guest, session and job
        self._began: dict[tuple[str, str], str] = {}  # on which node, by guest and job
        self._repeats: Counter[str] = Counter()  # how often each guest has asked again for a job
        self._nodes: dict[str, str] = {}
        self._stays: Counter[str] = Counter()  # how often the session of each has come to a node
        self._is_catching_up: dict[str, bool] = {}  # whether it is told what was sent it elsewhere
        self._stages: dict[type[Event], Stages] = {}
        for route in self.world.registry.routes.values():
            if route.job is not None:
                self._stages.update(dict.fromkeys(route.job.stages.events, route.job.stages))

    def came(self, guest: Guest, *, is_recovered: bool) -> None:
        name = guest.name
        has_stayed = is_recovered and list(guest.tried) == [self._nodes[name]]
        self._stays[name] += not has_stayed
        self._is_catching_up[name] = is_recovered and not has_stayed
        self._nodes[name] = guest.node

    def told(self, guest: Guest, event: Event) -> None:
        if isinstance(event, Recovered):
            self._is_catching_up[guest.name] = False
        elif isinstance(event, AnswersLost):
            for (name, session, _), job in self._told.items():
                job.is_lost |= (name, session) == (guest.name, guest.session)
        stages = self._stages.get(type(event))
        id_ = None if stages is None else getattr(event, stages.id, None)
        if stages is None or not id_:
            return
        told = self._told.setdefault((guest.name, guest.session, id_), _Told())
        self._began.setdefault((guest.name, id_), guest.node)
        is_begun = isinstance(event, stages.start or stages.failure)
        is_told_before = told.ended is not None or (is_begun and told.began)
        if is_told_before and self._repeats[guest.name]:
            self._repeats[guest.name] -= 1
            told = self._told[guest.name, guest.session, id_] = _Told()  # as the answer to a repeat
        if not self._may_be_told(guest, id_, told, event):
            self.world.story.break_("job", guest.name, f"nothing after {told.ended}", str(event))
        if isinstance(event, DigFound):
            if event.number != told.found + 1 and told.began:
                self.world.story.break_(
                    "job", guest.name, f"part {told.found + 1} of {id_}", str(event)
                )
            told.found = event.number
        if isinstance(event, DigDone) and told.began and event.found != told.found:
            self.world.story.break_("job", guest.name, f"an end after {told.found}", str(event))
        told.began = told.began or isinstance(event, stages.start or ErrorEvent)
        if isinstance(event, (stages.failure, stages.success or stages.failure)):
            told.ended = event

    def _may_be_told(self, guest: Guest, id_: str, told: _Told, event: Event) -> bool:
        """Whether a session may be told this of a job: nothing after its end, with two exceptions.

        Each node may tell it, once, that the job was lost with its own; that may have told its end,
        and be taken for dead. And so it is, where its lease was forgotten, until it renews that:
        then the job goes on.
        """
        now, had_trouble = self.world.loop.time(), self.world.had_trouble
        if not _says_lost(event):
            return told.ended is None or (
                _says_lost(told.ended) and had_trouble(0, now, kinds=(Kind.FORGET,))
            )
        is_first = told.lost_in != self._stays[guest.name]
        if not self._is_catching_up[guest.name]:  # else another node has told it
            told.lost_in = self._stays[guest.name]
        node = self._began[guest.name, id_]
        return told.ended is None or (is_first and had_trouble(0, now, node, kinds=_LEASES))

    def asked(self, guest: Guest, asked: Asked) -> None:
        route = self.world.registry.routes[asked.event.event_name]
        if asked.is_repeat and route.job is not None:
            self._repeats[guest.name] += 1
        if isinstance(asked.event, Cancel):
            ahead = [each for each in guest.asked.values() if each is not asked]
            self._look_later(guest, asked.event.id, guest.connection, asked.at, ahead)

    def _look_later(
        self, guest: Guest, id_: str, connection: int, since: float, asked: Sequence[Asked]
    ) -> None:
        """See whether a job has ended, once its cancellation has had its turn for long enough.

        Args:
            asked: what a connection asks for is served in order: what was asked before.
        """
        ahead = [each for each in asked if each.connection == connection and not each.answered]
        args = guest, id_, connection, since
        if ahead:
            self.world.loop.call_later(_CANCELLED, self._look_later, *args, ahead)
        else:
            self.world.loop.call_later(_CANCELLED, self._look_at_cancelled, *args)

    def _look_at_cancelled(self, guest: Guest, id_: str, connection: int, since: float) -> None:
        now = self.world.loop.time()
        told = self._told.get((guest.name, guest.session, id_))
        if (
            told is not None
            and told.ended is None
            and guest.is_in
            and guest.connection == connection
            and not guest.was_held(since)
            and self._began[guest.name, id_] == guest.node
            and not self.world.had_trouble(since, now, guest.node, kinds=(Kind.STOP,))
        ):
            self.world.story.break_(
                "job", guest.name, f"the end of {id_}, cancelled at {since:.4f} s", "nothing"
            )

    def settled(self) -> None:
        for (name, session, id_), told in self._told.items():
            guest = next(each for each in self.world.guests.values() if each.name == name)
            if told.ended is None and not told.is_lost and guest.is_in and guest.session == session:
                self.world.story.break_("job", name, f"an end of {id_}", "none")


def _says_lost(event: Event) -> bool:
    """Whether it tells that a job was lost with its node."""
    return isinstance(event, ErrorEvent) and event.message == restarted().message
