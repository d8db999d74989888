"""Nothing is left out without a word, nothing comes twice, and each node's posts come in order."""

from __future__ import annotations

from dataclasses import dataclass, field

from lbproto.events import Event
from lbproto.messages import AnswersLost, SessionLost, Subscribed, Unsubscribe, Unsubscribed
from lbproto.simulator.checks.base import Check
from lbproto.simulator.guest import Guest
from lbproto.simulator.plan import DEATHS, LINKS, Kind
from lbproto.simulator.yard import Board, Posted

__all__ = ["LEAVES", "REJOINS", "Delivery"]

LEAVES = 1.0
"""Seconds in which what a node publishes has come to the broker, if it is reached."""

REJOINS = 12.0
"""Seconds until nodes that were apart surely hear each other again."""

_APART = (*LINKS, *DEATHS)
_SOON = 2.0  # seconds in which something that was published has come


@dataclass(slots=True)
class _Stay:
    """A guest in a room: since when, and how far it has got with each node's posts."""

    since: float
    last: dict[str, int] = field(default_factory=dict)

    def restart(self, now: float) -> None:
        """Know nothing of what was before."""
        self.since = now
        self.last.clear()


class Delivery(Check):
    """Follows every guest through the rooms of the yard."""

    def begin(self) -> None:
        self._stays: dict[str, dict[str, _Stay]] = {}
        self._got: dict[str, dict[tuple[str, str, int], None]] = {}
        self._nodes: dict[str, str] = {}
        self._former: dict[str, str] = {}  # where its session was before it came to where it is

    def came(self, guest: Guest, *, is_recovered: bool) -> None:
        name = guest.name
        if not is_recovered:
            self._stays[name], self._got[name] = {}, {}
            self._former.pop(name, None)
        elif self._nodes[name] != guest.node:
            self._former[name] = self._nodes[name]
        self._nodes[name] = guest.node

    def _leave_unheard(self, guest: Guest) -> None:
        """Its node may have done what it asked for, and died with the answer."""
        for asked in guest.asked.values():
            if isinstance(asked.event, Unsubscribe) and not asked.answered:
                self._stays[guest.name].pop(asked.event.room, None)

    def told(self, guest: Guest, event: Event) -> None:
        stays = self._stays[guest.name]
        if isinstance(event, Posted):
            self._posted(guest, event, stays.get(event.room))
        elif isinstance(event, Subscribed):
            stays.setdefault(event.room, _Stay(self.world.loop.time()))
        elif isinstance(event, Board) and event.room in stays:
            self._board(guest, event, stays[event.room])
        elif isinstance(event, Unsubscribed):
            stays.pop(event.room, None)
        elif isinstance(event, AnswersLost):
            self._leave_unheard(guest)
        elif isinstance(event, SessionLost):
            for stay in stays.values():  # that something is lost is said: what comes next counts
                stay.restart(self.world.loop.time())

    def _board(self, guest: Guest, board: Board, stay: _Stay) -> None:
        if board.node != guest.node:
            return  # an answer of its former node, which comes before what the log has from there
        last = stay.last.get(board.node)
        if last is not None and last < board.number:
            self._look_for_gap(guest, board.room, board.node, last, board.number)
        stay.last[board.node] = max(board.number, last or 0)

    def _posted(self, guest: Guest, post: Posted, stay: _Stay | None) -> None:
        key = (post.room, post.node, post.number)
        got = self._got[guest.name]
        if key in got:
            if not self._may_come_again(guest, post):
                self.world.story.break_("twice", guest.name, "nothing twice", f"{post} again")
            return
        got[key] = None
        if stay is None:
            return  # it was sent before the guest had left
        last = stay.last.get(post.node)
        if last is None:
            last = self._before(post.room, post.node, stay.since)
        if post.number <= last and post.node in stay.last:
            self.world.story.break_(
                "order", guest.name, f"what follows number {last} of {post.node}", str(post)
            )
            return
        self._look_for_gap(guest, post.room, post.node, last, post.number - 1)
        stay.last[post.node] = post.number

    def _may_come_again(self, guest: Guest, post: Posted) -> bool:
        """Whether what it was told by a node has come to the log after it had gone on elsewhere."""
        at = self.world.truth.posts[post.room, post.node][post.number - 1]
        return post.node == self._former.get(guest.name) and self.world.had_trouble(
            at - REJOINS, at + _SOON, post.node, kinds=_APART
        )

    def _before(self, room: str, node: str, since: float) -> int:
        """The number of a node's last post before a moment."""
        times = self.world.truth.posts.get((room, node), ())
        return sum(at <= since for at in times)

    def _look_for_gap(self, guest: Guest, room: str, node: str, last: int, until: int) -> None:
        times = self.world.truth.posts[room, node]
        for number in range(last + 1, until + 1):
            if not self._may_miss(guest, node, times[number - 1]):
                self.world.story.break_(
                    "gap",
                    guest.name,
                    f"number {number} of {node} in {room}, published at {times[number - 1]:.4f} s",
                    "nothing, and no word of it",
                )
                return

    def _may_miss(self, guest: Guest, node: str, at: float) -> bool:
        """Whether a post may have been lost between two nodes, and nobody know of it."""
        if node == guest.node:
            return False
        world = self.world
        if world.had_trouble(at, at + LEAVES, node, kinds=(Kind.KILL,)):
            return True  # it had not come to the broker; who is drained has time for that
        has_log = world.plan.max_kept > 0
        nodes = (node,) if has_log else (node, guest.node)
        if world.had_trouble(at, at + REJOINS, node, kinds=DEATHS):
            since = at - (_SOON if has_log else REJOINS)
            return world.had_trouble(since, at + REJOINS, *nodes, kinds=LINKS)
        return not has_log and world.had_trouble(at - REJOINS, at + _SOON, *nodes, kinds=_APART)

    def settled(self) -> None:
        for guest in [each for each in self.world.guests.values() if each.is_in]:
            for room, stay in self._stays.get(guest.name, {}).items():
                for posted_to, node in list(self.world.truth.posts):
                    if posted_to == room:
                        self._look_for_end(guest, room, node, stay)

    def finish(self) -> None:
        self.settled()

    def _look_for_end(self, guest: Guest, room: str, node: str, stay: _Stay) -> None:
        last = stay.last.get(node)
        if last is None:
            last = self._before(room, node, stay.since)
        self._look_for_gap(guest, room, node, last, self.world.truth.last(room, node))
