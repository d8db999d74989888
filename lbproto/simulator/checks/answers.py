"""Whoever asks is answered, or told why not."""

from __future__ import annotations

from lbproto.events import Event
from lbproto.messages import AnswersLost, Subscribed
from lbproto.simulator.checks.base import Check
from lbproto.simulator.checks.delivery import REJOINS
from lbproto.simulator.guest import Guest
from lbproto.simulator.yard import ROOMS, Board, Dig

__all__ = ["Answers"]

_SOON = 2.0  # seconds in which the last requests are answered


class Answers(Check):
    """Waits for every answer, and for the first message of each room that a guest has come into."""

    def begin(self) -> None:
        self._awaited: dict[str, dict[str, None]] = {}  # the rooms, by guest
        self._nodes: dict[str, dict[str, None]] = {}  # where the session of each has been

    def came(self, guest: Guest, *, is_recovered: bool) -> None:
        if not is_recovered:
            self._awaited[guest.name], self._nodes[guest.name] = {}, {}
        self._nodes[guest.name].update(guest.tried)  # it may have come to one that did not say so

    def told(self, guest: Guest, event: Event) -> None:
        awaited = self._awaited[guest.name]
        if isinstance(event, Subscribed) and event.room in ROOMS:
            awaited[event.room] = None
        elif isinstance(event, Board):
            awaited.pop(event.room, None)
        elif isinstance(event, AnswersLost):
            awaited.clear()
            self._look_for_reason(guest)

    def _look_for_reason(self, guest: Guest) -> None:
        """Where all is well, nothing is lost: it would excuse whatever is missing.

        A job that has just ended may be found no more by the node that is to go on telling of it.
        """
        since, now = guest.lost_at - REJOINS, self.world.loop.time()
        has_job = any(
            isinstance(each.event, Dig) and each.at > since for each in guest.asked.values()
        )
        if not (has_job or self.world.had_trouble(since, now, *self._nodes[guest.name])):
            self.world.story.break_(
                "answer", guest.name, "nothing to be lost by nodes that are well", "AnswersLost()"
            )

    def settled(self) -> None:
        now = self.world.loop.time()
        for guest in self.world.guests.values():
            for asked in guest.asked.values():
                is_waiting = guest.is_in and asked.connection == guest.connection
                if is_waiting and not asked.answered and asked.at < now - _SOON:
                    self.world.story.break_(
                        "answer",
                        guest.name,
                        f"an answer to {asked.event}, asked at {asked.at:.4f} s",
                        "none",
                    )
            for room in self._awaited[guest.name] if guest.is_in else ():
                self.world.story.break_(
                    "answer", guest.name, f"the first message of {room}", "none, and no word of it"
                )

    def finish(self) -> None:
        self.settled()
