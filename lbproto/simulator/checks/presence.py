"""Who is in a room is told in pairs, and in the end it is those who are there, and all of them."""

from __future__ import annotations

from lbproto.events import Event
from lbproto.messages import Subscribed, Unsubscribed, UserJoinedRoom, UserLeftRoom
from lbproto.simulator.checks.base import Check
from lbproto.simulator.guest import Guest
from lbproto.simulator.plan import Kind

__all__ = ["Presence"]


_APART = (Kind.CUT, Kind.BROKER, Kind.STOP, Kind.KILL, Kind.DRAIN)
"""What has a node tell of users that others have told of: it is not known what those have."""

_HEARD = 20.0  # seconds until a node that is not heard is dead, and what it was is forgotten


class Presence(Check):
    """Follows whom every guest takes for being in a room."""

    def begin(self) -> None:
        self._seen: dict[str, dict[str, dict[str, bool]]] = {}  # by guest, room and user
        self._told: dict[tuple[str, str, str], float] = {}  # when, by the same
        self._nodes: dict[str, str] = {}
        self._movers: dict[str, None] = {}  # whose session was on another node before
        self._counts: dict[str, dict[str, int]] = {}

    def came(self, guest: Guest, *, is_recovered: bool) -> None:
        if not is_recovered:
            self._movers.pop(guest.name, None)
            self._seen[guest.name] = {}
            self._counts[guest.name] = {}
        elif guest.node != self._nodes[guest.name]:
            for users in self._seen[guest.name].values():
                users.clear()  # another node tells of whom it knows: not of those it never knew
            self._movers[guest.name] = None
        self._nodes[guest.name] = guest.node

    def told(self, guest: Guest, event: Event) -> None:
        rooms = self._seen[guest.name]
        if isinstance(event, Subscribed):
            rooms.setdefault(event.room, {})
            self._counts[guest.name][event.room] = event.subscriber_count
        elif isinstance(event, Unsubscribed):
            rooms.pop(event.room, None)
        elif isinstance(event, (UserJoinedRoom, UserLeftRoom)) and event.room in rooms:
            self._moved(guest, event, rooms[event.room])

    def _moved(
        self, guest: Guest, event: UserJoinedRoom | UserLeftRoom, users: dict[str, bool]
    ) -> None:
        came, key = isinstance(event, UserJoinedRoom), (guest.name, event.room, event.user_id)
        now = self.world.loop.time()
        since = self._told.get(key, now) - _HEARD
        self._told[key] = now
        if users.get(event.user_id) is came and not self.world.had_trouble(
            since, now, kinds=_APART
        ):
            word = "left" if came else "joined"
            expected = f"{event.user_id} to have {word} in between"
            self.world.story.break_("presence", guest.name, expected, f"{event} again")
        users[event.user_id] = came

    def finish(self) -> None:
        there: dict[str, list[Guest]] = {}
        for guest in self.world.guests.values():
            if guest.is_in:
                for room in self._seen.get(guest.name, {}):
                    there.setdefault(room, []).append(guest)
        for guest in self.world.guests.values():
            for room, users in self._seen.get(guest.name, {}).items() if guest.is_in else ():
                self._look(guest, room, users, there.get(room, []))

    def _may_not_know(self, guest: Guest) -> bool:
        """Whether its session has come from a node that died, with what was left of it there.

        Of users it may not be told all; and it may be in a room that it had left just before.
        """
        now = self.world.loop.time()
        return guest.name in self._movers and self.world.had_trouble(0, now, kinds=_APART)

    def _look(self, guest: Guest, room: str, users: dict[str, bool], there: list[Guest]) -> None:
        present = {each.user: None for each in there}
        for user, is_there in users.items():
            is_right = is_there is (user in present)
            if user != guest.user and not is_right and not self._may_not_know(guest):
                expected = f"{user} {'in' if user in present else 'not in'} {room}"
                came = "joined, and never left" if is_there else "left, and never joined again"
                self.world.story.break_("presence", guest.name, expected, came)
        count = self._counts[guest.name][room]
        may_differ = any(map(self._may_not_know, self.world.guests.values()))
        if count != len(there) and not may_differ:
            names = ", ".join(each.name for each in there)
            self.world.story.break_(
                "presence", guest.name, f"{len(there)} in {room}: {names}", f"a count of {count}"
            )
