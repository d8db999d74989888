"""What clients do, all together, in a second; and what that makes nodes say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite

from benchmarks.capacity import counts

__all__ = ["Rates", "Workload", "rates"]

Rates = Mapping[str, float]
"""How often a second something is done by all nodes, by the names of a `Tally`."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What there is to do.

    Attributes:
        connections: clients that are connected.
        rooms: that each is in, beside its user's own.
        members: of a room, on average; anywhere.
        events: published to each room a second, on a node where it has members.
        burst: of them, how many are published together.
        event_bytes: of an event's payload.
        requests: of each client, a second.
        keyed: the part of them that has a `requestId`.
        priced: the part of them that costs credits.
        losses: how often each client loses its connection, an hour, and comes back in time.
        sticky: whether it comes back to the same node, if that lives.
        visits: how many sessions begin, and end, for each connection, an hour.
        user_bytes: of a user's id.
        traced: whether each request is recorded by OpenTelemetry.

    Raises:
        ValueError: one is out of range.
    """

    connections: int = 1_000_000
    rooms: float = 1.0
    members: float = 1_000.0
    events: float = 1.0
    burst: float = 1.0
    event_bytes: int = 190
    requests: float = 0.01
    keyed: float = 0.0
    priced: float = 0.0
    losses: float = 2.0
    sticky: bool = False
    visits: float = 0.5
    user_bytes: int = 36
    traced: bool = False

    def __post_init__(self) -> None:
        given = [getattr(self, each.name) for each in fields(self)]
        if not all(map(isfinite, given)) or min(given) < 0:
            raise ValueError("of nothing there is less than none, nor without end")
        if min(self.connections, self.members, self.burst) < 1:
            raise ValueError("there are clients, rooms have members, and a burst has an event")
        if max(self.keyed, self.priced) > 1:
            raise ValueError("a part is at most 1")

    @property
    def all_rooms(self) -> float:
        """How many rooms there are."""
        return self.connections * self.rooms / self.members

    @property
    def published(self) -> float:
        """Events a second."""
        return self.all_rooms * self.events

    @property
    def delivered(self) -> float:
        """Deliveries a second."""
        return self.published * self.members

    @property
    def asked(self) -> float:
        """Requests a second."""
        return self.connections * self.requests

    @property
    def begun(self) -> float:
        """Sessions that begin a second, and that end."""
        return self.connections * self.visits / 3_600

    @property
    def lost(self) -> float:
        """Connections that are lost a second."""
        return self.connections * self.losses / 3_600

    def moved(self, nodes: int) -> float:
        """Sessions that go on on another node, a second."""
        return 0.0 if self.sticky else self.lost * (1 - 1 / nodes)


def rates(work: Workload, nodes: int) -> Rates:
    """What so many nodes say, hear and store a second."""
    on = counts.hosts(nodes, work.members)
    moved = work.moved(nodes)
    found: dict[str, float] = {}
    rooms = round(work.rooms)
    for tally, times in (
        (counts.rest(nodes, counts.BEAT_SECONDS), 1 / counts.BEAT_SECONDS),
        (counts.begin(nodes), work.begun),
        (counts.join(nodes), work.begun * work.rooms),
        (counts.end(nodes), work.begun),
        (counts.resume(rooms), work.lost - moved),
        (counts.move(nodes, rooms), moved),
        (counts.publish(1), work.published),
        (counts.ask(keyed=True), work.asked * work.keyed),
    ):
        for what, many in tally.items():
            found[what] = found.get(what, 0.0) + many * times
    found["heard event"] += work.published * (on - 1)
    found["delivered"] = work.delivered
    return found
