"""The members of rooms on other nodes, as they have announced them. Pure.

Theory of operation. Each node numbers what it says. Whoever has heard all of it knows where its
sessions are; whoever notices a gap asks for the whole, which comes in parts that are numbered like
the rest, so that those who have missed nothing only count them: they say nothing new. What comes
twice, or too late, has a number that was heard before, and is passed over. A beat tells the last
number, so that a gap at the end is noticed too. So, once messages arrive again, a node is known as
it is after its next change, where nothing was missed before that; else after its next beat, an
enquiry, and the whole.

A node that is not heard for `SILENCE` is dead, and one that says farewell is gone: its sessions
count no more. A dead one may come back, as after a partition; then it is asked for the whole. Who
finds a node dead tells the others, before anything of what follows from that: so that they do too,
at one place of what all are told, and a session that moves between them meanwhile misses nothing.
Who has not heard the dead one for a while believes it. Who has never met it has sessions, it may
be, that knew its users: it meets them now, and they are gone.

Users of a node that is met for the first time were there before: that is not news. One that begins
says so before it has any. Where that was not heard, as behind a partition, its users are
news all the same to whoever was there before it: those who are, answer within `_MEETING_SECONDS`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import chain
from math import inf
from typing import NamedTuple

import msgspec

from lbproto.nodes.messages import Beat, Changes, Farewell, Gone, Share, Whole
from lbproto.nodes.teller import parts_of

__all__ = ["SILENCE", "Moved", "Roster", "Said"]

SILENCE = 15.0
"""Seconds after which a node that is not heard is dead."""

_DOUBTED_SECONDS = 10.0  # after which it is dead if others say so: less than that by a beat
_MEETING_SECONDS = 10.0  # seconds in which a node that begins meets the others
_RETRY_SECONDS = 1.0  # seconds until a node that has not answered is asked again
_MAX_NODES = 256

Said = Changes | Whole | Beat | Farewell | Gone

_shares_of = msgspec.msgpack.Decoder(tuple[Share, ...]).decode


class Moved(NamedTuple):
    """A change of a room's members on another node.

    Attributes:
        sessions: how many more count there now.
        came: users who are there now.
        gone: users who are not any more.
        is_news: whether they have come just now.
        node_gone: whether all this is since the node is, dead or stopped: it does not tell of it.
        is_met: whether the node was; else only who has come from elsewhere may know its users.
    """

    room: str
    sessions: int
    came: Collection[str]
    gone: Collection[str]
    is_news: bool = True
    node_gone: bool = False
    is_met: bool = True


_Users = dict[str, None]
"""In the order they came: what is told of them is then the same in every process."""


class _View:
    """A node's shares."""

    __slots__ = ("rooms", "users")

    def __init__(self) -> None:
        self.rooms: dict[str, int] = {}
        self.users: dict[str, _Users] = {}  # of rooms that announce them

    def apply(self, share: Share) -> Moved:
        room = share.room
        before = self.rooms.get(room, 0)
        known = self.users.get(room, {})
        if share.sessions <= 0:
            self.rooms.pop(room, None)
            self.users.pop(room, None)
            return Moved(room, -before, (), known.keys())
        self.rooms[room] = share.sessions
        came = _less(dict.fromkeys(share.came), known)
        gone = {user: None for user in share.gone if user in known}
        if came or gone:
            known = known | came
            if known := _less(known, gone):
                self.users[room] = known
            else:
                del self.users[room]
        return Moved(room, share.sessions - before, came.keys(), gone.keys())

    def until(self, later: _View, *, is_news: bool = True) -> Iterator[Moved]:
        """What has moved from this one to a later one."""
        for room in self.rooms | later.rooms:
            sessions = later.rooms.get(room, 0) - self.rooms.get(room, 0)
            before, after = self.users.get(room, {}), later.users.get(room, {})
            came, gone = _less(after, before), _less(before, after)
            if sessions or came or gone:
                yield Moved(room, sessions, came.keys(), gone.keys(), is_news)


def _less(users: _Users, others: _Users) -> _Users:
    """The users who are not among the others."""
    return {user: None for user in users if user not in others}


class _Node:
    """Another node.

    Attributes:
        view: its shares, as of the message `number`; -1 for none.
        building: the next whole, of which not all parts are there; `next` is the number of the
            next one.
        is_met: whether it has been known as it is before.
        is_behind: whether something was missed.
        heard, asked: when that was last, in seconds.
    """

    __slots__ = ("asked", "building", "heard", "is_behind", "is_met", "next", "number", "view")

    def __init__(self, now: float, *, is_met: bool) -> None:
        self.view = _View()
        self.number = -1
        self.building: _View | None = None
        self.next = 0
        self.is_met = is_met
        self.is_behind = False
        self.heard = now
        self.asked = -_RETRY_SECONDS


class _Former(NamedTuple):
    """A node that is not there any more.

    Attributes:
        may_return: whether it is only dead.
        told_by: who has told of it, where it was never met here; "" otherwise.
    """

    may_return: bool
    told_by: str = ""


class Roster:
    """The other nodes.

    Args:
        own: the id of the node that keeps this; what it says itself is passed over.
        began: when that has begun, monotonic time in seconds.
    """

    def __init__(self, own: str, began: float = inf) -> None:
        self._own = own
        self._met_until = began + _MEETING_SECONDS
        self._nodes: dict[str, _Node] = {}
        self._former: dict[str, _Former] = {}

    @property
    def nodes(self) -> Collection[str]:
        """The ids of the others that live."""
        return self._nodes.keys()

    @property
    def has_met(self) -> bool:
        """Whether there are others, and of none is it unknown still who is there."""
        return bool(self._nodes) and all(node.number >= 0 for node in self._nodes.values())

    def count(self, room: str) -> int:
        """How many sessions count in a room on other nodes."""
        return sum(node.view.rooms.get(room, 0) for node in self._nodes.values())

    def users(self, room: str) -> Iterator[str]:
        """The users in a room on other nodes, each once for every node."""
        return chain.from_iterable(node.view.users.get(room, ()) for node in self._nodes.values())

    def hear(self, said: Said, now: float) -> list[Moved]:
        """A message has come.

        Args:
            now: monotonic time, in seconds.

        Returns:
            What has moved.
        """
        if isinstance(said, Farewell):
            return self._bury(said.node, may_return=False)
        if isinstance(said, Gone):
            return self._hear_gone(said, now)
        node = self._node(said.node, now)
        if node is None:
            return []
        node.heard = now
        if isinstance(said, Beat):
            node.is_behind = node.is_behind or said.number > node.number
            return []
        if said.number <= node.number:
            return []
        if isinstance(said, Changes):
            return self._hear_changes(node, said)
        return self._hear_whole(node, said)

    def behind(self, now: float) -> list[str]:
        """The nodes of which something was missed, and which are to be asked for the whole now.

        Args:
            now: monotonic time, in seconds.
        """
        asked = []
        for name, node in self._nodes.items():
            if node.is_behind and now >= node.asked + _RETRY_SECONDS:
                node.asked = now
                asked.append(name)
        return asked

    def expire(self, now: float) -> list[Moved]:
        """See which nodes are dead.

        Args:
            now: monotonic time, in seconds.

        Returns:
            What has moved.
        """
        return [moved for name in self._dead(now) for moved in self._bury(name, may_return=True)]

    def obituaries(self, now: float) -> Iterator[Gone]:
        """What to tell the others of those that `expire` is about to find dead.

        Not of one of which it is unknown who was there: whoever heard that would not hear from
        others who do know.
        """
        for name in self._dead(now):
            if self._nodes[name].number < 0:
                continue
            users = self._nodes[name].view.users
            shares = (Share(room, len(some), tuple(some)) for room, some in users.items())
            for part in parts_of(shares):
                yield Gone(self._own, name, part)

    def _dead(self, now: float) -> list[str]:
        return [name for name, node in self._nodes.items() if now >= node.heard + SILENCE]

    def _node(self, name: str, now: float) -> _Node | None:
        node = self._nodes.get(name)
        if node is None and name != self._own and len(self._nodes) < _MAX_NODES:
            former = self._former.get(name)
            if former is None or former.may_return:
                self._former.pop(name, None)
                is_met = former is not None or now > self._met_until
                node = self._nodes[name] = _Node(now, is_met=is_met)
        return node

    def _bury(self, name: str, *, may_return: bool) -> list[Moved]:
        node = self._nodes.pop(name, None)
        self._remember(name, _Former(may_return))
        moves = [] if node is None else node.view.until(_View())
        return [moved._replace(node_gone=True) for moved in moves]

    def _remember(self, name: str, former: _Former) -> None:
        self._former[name] = former
        if len(self._former) > _MAX_NODES:
            del self._former[next(iter(self._former))]

    def _hear_gone(self, said: Gone, now: float) -> list[Moved]:
        node = self._nodes.get(said.of)
        if node is not None and now < node.heard + _DOUBTED_SECONDS:
            return []
        if node is not None and node.number >= 0:  # else it is not known yet who was there
            return self._bury(said.of, may_return=True)
        met = _Former(may_return=True, told_by=said.node)
        if said.of == self._own or self._former.get(said.of, met) != met:
            return []
        self._nodes.pop(said.of, None)
        self._remember(said.of, met)
        moves = []
        for share in _shares_of(said.shares):
            moves.append(Moved(share.room, 0, share.came, (), is_news=False))
            moves.append(Moved(share.room, 0, (), share.came, is_met=False))
        return moves

    def _hear_changes(self, node: _Node, said: Changes) -> list[Moved]:
        if said.number > node.number + 1:
            node.is_behind = True
            return []
        node.number = said.number
        return [node.view.apply(share) for share in said.shares]

    def _hear_whole(self, node: _Node, said: Whole) -> list[Moved]:
        if said.number == node.number + 1:  # nothing was missed, so it is as this says
            node.number = said.number
            node.building = None
            node.is_met = True
            node.is_behind = False
            return []
        if said.begins:
            node.building = _View()
        elif node.building is None or said.number != node.next:
            node.building = None
            node.is_behind = True
            return []
        for share in _shares_of(said.shares):
            node.building.apply(share)
        node.next = said.number + 1
        if not said.ends:
            return []
        before, node.view, node.building = node.view, node.building, None
        is_news, node.is_met = node.is_met, True
        node.number = said.number
        node.is_behind = False
        return list(before.until(node.view, is_news=is_news))
