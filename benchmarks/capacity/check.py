"""The formulas of `counts`, held against simulated clusters: `python -m benchmarks.capacity check`.

A run of each: what a cluster of so many nodes does is counted, one thing after the other, and named
as the formulas name it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from benchmarks.capacity import counts
from benchmarks.capacity.cluster import ANNOUNCING, SILENT, Cluster, Flood, Guest, Member, simulated
from benchmarks.capacity.ports import Tally
from lbproto.messages import Subscribe

__all__ = ["NODES", "Compared", "compare"]

NODES = (2, 5, 12)
_SETTLES = 1.0
_REST = 60.0  # seconds
_LETS_GO = 4.0  # seconds until a session is over where it no longer is
_DIES = 25.0  # seconds until a node that is dead is known to be
_EVENTS = 7
_LEEWAY = 0.02  # a lease is renewed five seconds after the last time has been answered
_HALL, _CLUB = f"{SILENT}:a", f"{ANNOUNCING}:a"
_AGAIN = ("said beat", "heard beat", "echoed beat", "stored put nodes")


class Compared(NamedTuple):
    """One thing that nodes do.

    Attributes:
        nodes: how many there are.
        what: in words.
        predicted, simulated: how much is said, heard and stored.
    """

    nodes: int
    what: str
    predicted: Tally
    simulated: Tally

    @property
    def agrees(self) -> bool:
        """Whether they are the same: to the message, or by 2 % where there are hundreds."""
        return all(
            abs(self.simulated[each] - self.predicted[each]) <= _LEEWAY * self.predicted[each]
            for each in self.predicted | self.simulated
        )


def compare(nodes: int) -> list[Compared]:
    """Count everything in a cluster of so many nodes, at least two."""
    return simulated(lambda cluster: _compare(cluster, nodes))


class _Book:
    def __init__(self, cluster: Cluster, nodes: int) -> None:
        self.found: list[Compared] = []
        self._cluster = cluster
        self._nodes = nodes

    async def note(
        self, what: str, predicted: Tally, work: Awaitable[object], seconds: float = 1.0
    ) -> None:
        """Count what some work makes nodes do, in so many seconds behind it, and the rest."""
        self.add(what, predicted, await self.count(work, seconds))

    async def count(self, work: Awaitable[object], seconds: float = 1.0) -> Tally:
        """Likewise, where what is predicted depends on it."""
        counted = await self._cluster.counted(work, seconds)
        for each in _AGAIN:
            del counted[each]
        return counted

    def add(self, what: str, predicted: Tally, counted: Tally) -> None:
        """Likewise what has been counted."""
        for each in [each for each in counted if each.startswith(("bytes", "delivered"))]:
            del counted[each]
        self.found.append(Compared(self._nodes, what, +predicted, +counted))


async def _compare(cluster: Cluster, nodes: int) -> list[Compared]:
    book = _Book(cluster, nodes)
    await cluster.start(nodes)
    resting = await cluster.counted(asyncio.sleep(_REST), 0)
    book.add(f"rest, {_REST:.0f} s", counts.rest(nodes, _REST), resting)
    first, second, *_ = cluster.members
    guests = await cluster.guests(nodes, [])
    one, other = Guest(cluster, "ada"), Guest(cluster, "bob")
    await asyncio.sleep(_SETTLES)

    begun = counts.begin(nodes)
    await book.note("a session begins", begun, one.come(first))
    await other.come(second)
    await asyncio.sleep(_SETTLES)
    await book.note("joins a room", counts.join(nodes, is_first=True), one.ask(Subscribe(_HALL)))
    for guest in guests:
        await guest.ask(Subscribe(_HALL))
    await asyncio.sleep(_SETTLES)
    again = counts.join_again()
    await book.note("joins a room again", again, one.ask(Subscribe(_HALL)))
    known = counts.join(nodes)
    await book.note("joins one that is heard", known, other.ask(Subscribe(_HALL)))
    announced = counts.join(nodes, is_first=True, announces=True)
    await book.note("joins one that announces", announced, one.ask(Subscribe(_CLUB)))
    flood = Flood(_HALL, _EVENTS)
    published = counts.publish(nodes, _EVENTS)
    await book.note(f"{_EVENTS} events to a room", published, one.ask(flood))
    keyed = published + counts.ask(keyed=True)
    await book.note("the same, with a requestId", keyed, one.ask(flood, "a"))

    await book.note("comes back to its node", counts.resume(2), _again(one, first))
    moved = counts.move(nodes, 2, new=1)
    await book.note("comes back to another", moved, _again(one, second), _LETS_GO)
    over = counts.end(nodes, announcing=1)
    await book.note("leaves", over, _do(one.leave))
    lost, gone = guests[0], Guest(cluster, "eve")
    await gone.come(first)
    await gone.ask(Subscribe(_CLUB))
    await asyncio.sleep(_SETTLES)
    first.kill()
    lost.lose()
    died = await book.count(asyncio.sleep(_DIES))
    few = 1 + nodes // 4  # that happen to do something at the same time
    finders = min(died["said gone"], few)
    book.add("a node dies", counts.die(nodes - 1, users=1, finders=finders), died)
    revived = counts.revive(nodes - 1, 1)
    await book.note("comes from a dead node", revived, _again(lost, second), _LETS_GO)
    joined = await book.count(cluster.start(1))
    asked = min(joined["said enquiry"] - 1, few)
    said = min(joined["said whole"] - nodes, asked)
    book.add("another node starts", counts.start(nodes, asked=asked, said=said), joined)
    return book.found


async def _again(guest: Guest, member: Member) -> None:
    """Lose the connection, and come back to a node.

    Raises:
        AssertionError: the session has not gone on.
    """
    guest.lose()
    await asyncio.sleep(0.1)  # virtual: its node finds that out
    await guest.come(member)
    if not guest.is_recovered:
        raise AssertionError("the session should have gone on")


async def _do(act: Callable[[], object]) -> None:
    act()
