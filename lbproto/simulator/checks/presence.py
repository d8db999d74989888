"""Who is in a room is told in pairs, and in the end it is those who are there, and all of them."""

from __future__ import annotations

from lbproto.events import Event
from lbproto.messages import AnswersLost, Subscribe, Subscribed, Unsubscribe, Unsubscribed
from lbproto.messages import UserJoinedRoom as Joined
from lbproto.messages import UserLeftRoom as Left
from lbproto.simulator.checks.base import Check
from lbproto.simulator.guest import Asked, Guest
from lbproto.simulator.node import RECOVERY
from lbproto.simulator.plan import DEATHS, LINKS, Kind

__all__ = ["Presence"]

_HEARD = 20.0  # seconds until a node that is not heard is dead, and what it was is forgotten
_RECORDED = 1.5  # seconds until the storage knows in which rooms a session is, if it is reached


class Presence(Check):
    """Follows whom every guest takes for being in a room."""

    def begin(self) -> None:
        self._seen: dict[str, dict[str, dict[str, bool]]] = {}  # by guest, room and user
        # Each with by how many it may differ, and when it was told.
        self._counts: dict[str, dict[str, tuple[int, int, float]]] = {}
        self._nodes: dict[str, str] = {}
        self._former: dict[str, str] = {}  # where its session was before it came to where it is
        self._moved_at: dict[str, float] = {}  # when its session has come from another node
        self._been: dict[str, dict[str, None]] = {}  # the nodes where each user has been
        self._changed: dict[str, dict[str, Asked]] = {}  # the last to be in a room, or out
        self._doubts: dict[str, dict[str, None]] = {}  # rooms of which a guest may be wrong

    def came(self, guest: Guest, *, is_recovered: bool) -> None:
        name, node = guest.name, guest.node
        if not is_recovered:
            self._moved_at.pop(name, None)
            self._former.pop(name, None)
            for known in (self._seen, self._counts, self._changed, self._doubts):
                known[name] = {}
        elif node != self._nodes[name]:
            for users in self._seen[name].values():
                users.clear()  # another node tells of whom it knows: not of those it never knew
            self._moved_at[name] = self.world.loop.time()
            self._former[name] = self._nodes[name]
        self._nodes[name] = node
        self._been.setdefault(guest.user, {})[node] = None

    def _doubt(self, guest: Guest, node: str) -> None:
        """Where its former node cannot be asked, its rooms are those that were recorded in time.

        And of what that node has done without its client's knowing, nobody tells that.
        """
        lost_at = guest.lost_at
        for room, asked in self._changed[guest.name].items():
            is_recorded = asked.at < lost_at - _RECORDED and not self.world.had_trouble(
                asked.at, lost_at, node, kinds=(Kind.REFUSE,)
            )
            if not (asked.answered and is_recorded):
                self._doubts[guest.name][room] = None

    def asked(self, guest: Guest, asked: Asked) -> None:
        if isinstance(asked.event, (Subscribe, Unsubscribe)):
            self._changed[guest.name][asked.event.room] = asked

    def told(self, guest: Guest, event: Event) -> None:
        rooms = self._seen[guest.name]
        if isinstance(event, AnswersLost) and guest.name in self._former:
            self._doubt(guest, self._former[guest.name])
        if isinstance(event, (Subscribed, Unsubscribed)):
            self._doubts[guest.name].pop(event.room, None)
        if isinstance(event, Subscribed):
            rooms.setdefault(event.room, {})
            doubtful = sum(event.room in rooms for rooms in self._doubts.values())
            now = self.world.loop.time()
            self._counts[guest.name][event.room] = event.subscriber_count, doubtful, now
        elif isinstance(event, Unsubscribed):
            rooms.pop(event.room, None)
        elif isinstance(event, (Joined, Left)) and event.room in rooms:
            self._moved(guest, event, rooms[event.room])

    def _moved(self, guest: Guest, event: Joined | Left, users: dict[str, bool]) -> None:
        came = isinstance(event, Joined)
        if users.get(event.user_id) is came and not self._has_just_moved(guest):
            word = "left" if came else "joined"
            expected = f"{event.user_id} to have {word} in between"
            self.world.story.break_("presence", guest.name, expected, f"{event} again")
        users[event.user_id] = came

    def _has_just_moved(self, guest: Guest) -> bool:
        """Whether it may be told again, by a node, what another has told it, or the log."""
        moved_at = self._moved_at.get(guest.name)
        return moved_at is not None and self.world.loop.time() < moved_at + _HEARD

    def finish(self) -> None:
        there: dict[str, list[Guest]] = {}
        doubtful: dict[str, list[Guest]] = {}
        for guest in self.world.guests.values():
            if guest.is_in:
                for room in self._seen[guest.name]:
                    there.setdefault(room, []).append(guest)
                for room in self._doubts[guest.name]:
                    doubtful.setdefault(room, []).append(guest)
        for guest in self.world.guests.values():
            for room in self._seen[guest.name] if guest.is_in else ():
                self._look(guest, room, there.get(room, []), doubtful.get(room, []))

    def _look(self, guest: Guest, room: str, there: list[Guest], doubtful: list[Guest]) -> None:
        guests = self.world.guests.values()
        count, doubtful_then, told_at = self._counts[guest.name][room]
        lost_then = [each for each in guests if each.lost_at > told_at - RECOVERY.grace]
        present = {each.user: None for each in there}
        unsure = {each.user: None for each in (guest, *doubtful, *lost_then)}
        for user, is_there in self._seen[guest.name][room].items():
            is_right = is_there is (user in present)
            if user in unsure or is_right or self._may_not_know(guest, user):
                continue
            expected = f"{user} {'in' if user in present else 'not in'} {room}"
            came = "joined, and never left" if is_there else "left, and never joined again"
            self.world.story.break_("presence", guest.name, expected, came)
        if abs(count - len(there)) > doubtful_then + len(lost_then):
            names = ", ".join(each.name for each in there)
            self.world.story.break_(
                "presence", guest.name, f"{len(there)} in {room}: {names}", f"a count of {count}"
            )

    def _may_not_know(self, guest: Guest, user: str) -> bool:
        """Whether the log may have told it, when its session came, of a user who was elsewhere.

        That they came, and nobody is left who could tell that they have left, or it was a node that
        this one had not heard of yet; or that they have left, by a node that was apart and told it
        late, or while its own takes them for being where they were on a node that has died.
        """
        moved_at = self._moved_at.get(guest.name)
        return moved_at is not None and self.world.had_trouble(
            moved_at - _HEARD, moved_at, *self._been[user], kinds=(*DEATHS, *LINKS)
        )
