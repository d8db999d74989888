"""A client that comes back in time goes on with its session, where that can be had."""

from __future__ import annotations

from lbproto.events import Event
from lbproto.messages import Connected
from lbproto.simulator.checks.base import Check
from lbproto.simulator.checks.delivery import LEAVES, REJOINS
from lbproto.simulator.guest import Guest
from lbproto.simulator.plan import DEATHS, Kind
from lbproto.transport import CloseCode

__all__ = ["Resumption"]

_NOT_DEATHS = [kind for kind in Kind if kind not in DEATHS]
_IN_TIME = 35.0  # seconds: less than the window, by what the network takes
_FEW = 1_000  # messages, or events, that a log may have dropped before they are asked for


class Resumption(Check):
    """Follows every guest's session from node to node."""

    def begin(self) -> None:
        self._places: dict[str, str] = {}  # the node where each guest's session is

    def came(self, guest: Guest, *, is_recovered: bool) -> None:
        place = self._places.get(guest.name)
        if is_recovered or place is None:
            return
        del self._places[guest.name]
        away = self.world.loop.time() - guest.lost_at
        if away < _IN_TIME and self._is_there(guest, place):
            self.world.story.break_(
                "resume",
                guest.name,
                f"its session on {place} to go on, after {away:.2f} s",
                "another one",
            )

    def lost(self, guest: Guest, code: int) -> None:
        if code == CloseCode.SLOW_CONSUMER:  # by then, what it was to be sent is gone
            self._places.pop(guest.name, None)

    def _is_there(self, guest: Guest, place: str) -> bool:
        """Whether what the session is can be had by its guest's node.

        It can be had of a node that has died, too: its record and the log tell all of it.
        """
        if self.world.plan.max_events <= _FEW:
            return False
        if list(guest.tried) == [place]:
            return True
        world, since, now = self.world, guest.lost_at - REJOINS, self.world.loop.time()
        return (
            world.plan.max_kept > _FEW
            and not world.had_trouble(since, now, place, kinds=_NOT_DEATHS)
            and not world.had_trouble(since, now, *guest.tried)
            and not world.had_trouble(0.0, now, kinds=(Kind.FORGET,))
            and not self._has_died_early(place)
        )

    def _has_died_early(self, node: str) -> bool:
        """Whether a node has been killed before all that it had published had left it.

        Then how far its clients have got is not in the log.
        """
        kills = [each for each in self.world.troubles if each.kind is Kind.KILL]
        died_at = next((each.since for each in kills if each.node == node), None)
        return died_at is not None and any(
            published_by == node and any(died_at - LEAVES <= at <= died_at for at in times)
            for (_, published_by), times in self.world.truth.posts.items()
        )

    def told(self, guest: Guest, event: Event) -> None:
        if not isinstance(event, Connected):  # from here on it can say how far it has got
            self._places[guest.name] = guest.node
