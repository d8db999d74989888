"""What each part of so much work takes of so many nodes, of the broker and of the storage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.capacity import counts
from benchmarks.capacity.costs import UnitCosts
from benchmarks.capacity.workload import Rates, Workload, rates
from lbproto.backends.redis_log import MAX_SHARDS

__all__ = ["WINDOW", "Limits", "Parts"]

WINDOW = 120.0
"""Seconds that sessions wait for their clients, and that the log ought to reach back."""

_TO_ALL = ("beat", "changes", "call", "enquiry", "whole")
_NODE_LOG = 64 * 2**20  # bytes of a node's own log at most
_ENTRY = 400  # bytes of an entry there, beside the frame
_FRAME = 80  # bytes beside a payload: the event's name, its offset, the WebSocket's header
_HEADERS = 66  # of Ethernet, IP and TCP
_MESSAGE = 150  # bytes of what nodes say of sessions, as it travels
_PARCEL = 100  # beside an event
_BACKOFF = 1.5  # seconds until the clients of a node that is gone have tried again
_US = 1e-6


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What there is.

    Attributes:
        cpu: the part of a core that a node, or a server of the broker, is to use.
        memory: bytes of a node.
        network: bits a second of a node, or of a server of the broker.
        shards: of the log; as many servers, each with a core.
        delay: seconds that a message may wait for the broker. A node calls it when the last call
            has been answered, with all that there is by then: so a busy broker is called less.

    Raises:
        ValueError: one is out of range.
    """

    cpu: float = 0.6
    memory: float = 4 * 2**30
    network: float = 10e9
    shards: int = 1
    delay: float = 0.01

    def __post_init__(self) -> None:
        if not (0 < self.cpu <= 1 and 1 <= self.shards <= MAX_SHARDS):
            raise ValueError(f"a part of a core, and 1 to {MAX_SHARDS} shards")
        if min(self.memory, self.network, self.delay) <= 0:
            raise ValueError("there is some memory, some network, and some time")


class Parts:
    """What it takes, by what it is for.

    Args:
        work: what there is to do.
        nodes: how many share it, at least two.
        costs: of one of each.
        limits: how many shards there are, and how long a message may wait.

    Attributes:
        rates: what all nodes do a second.
    """

    def __init__(self, work: Workload, nodes: int, costs: UnitCosts, limits: Limits) -> None:
        self.rates: Rates = rates(work, nodes)
        self._work = work
        self._nodes = nodes
        self._costs = costs
        self._shards = limits.shards
        self._on = counts.hosts(nodes, work.members)
        self._events = {
            each: many / work.burst for each, many in self.rates.items() if each.endswith(" event")
        }
        self._said = {each: many for each, many in self.rates.items() if each not in self._events}
        said = _sum(self._events, "said") + _sum(self._said, "said")
        self._calls = min(nodes / limits.delay, said)

    # Of a node

    def cores(self) -> dict[str, float]:
        """Of each node."""
        work, costs, nodes = self._work, self._costs, self._nodes
        request = (
            costs.request_us
            + work.priced * (costs.priced_us + 2 * costs.store_us)
            + 2 * work.keyed * costs.store_us
            + work.traced * costs.traced_us
        )
        between = self._node_us(self._events) + self._calls * costs.say_call_us
        used = {
            "deliveries": work.delivered / work.burst * costs.delivery_us,
            "events of other nodes": work.published * self._on * costs.event_us + between,
            "requests": work.asked * request,
            "connections held": work.connections * costs.hold_us,
            "sessions that begin": work.begun * self._begun_us(),
            "clients that come back": self._back_us(),
            "being one of several": self._node_us(counts.rest(nodes, 5.0)) / 5.0,
        }
        return {each: us * _US / nodes for each, us in used.items()}

    def _begun_us(self) -> float:
        """What a session costs all nodes, from its beginning to its end."""
        costs, nodes = self._costs, self._nodes
        more = _beyond(counts.begin(nodes), counts.begin(2))
        joined = costs.request_us + self._node_us(counts.join(nodes))
        return (
            costs.connect_us
            + self._node_us(more)
            + self._work.rooms * joined
            + self._node_us(counts.end(nodes))
        )

    def _back_us(self) -> float:
        work, costs, rooms = self._work, self._costs, round(self._work.rooms)
        moved = work.moved(self._nodes)
        more = _beyond(counts.move(self._nodes, rooms), counts.move(2, 0))
        here = costs.resume_us + self._node_us(counts.resume(rooms))
        return (work.lost - moved) * here + moved * (
            costs.move_us + costs.moved_us + self._node_us(more)
        )

    def memory(self) -> dict[str, float]:
        """Bytes of each node."""
        work, costs = self._work, self._costs
        here = work.connections / self._nodes
        rooms_elsewhere = work.all_rooms * self._on * (1 - 1 / self._nodes)
        logged = work.published * self._on / self._nodes * (_ENTRY + work.event_bytes + _FRAME)
        return {
            "the process": costs.base_bytes,
            "connections": here * costs.connection_bytes,
            "their sessions": here * costs.session_bytes,
            "in the kernel": here * costs.kernel_bytes,
            "sessions elsewhere": (work.connections - here + rooms_elsewhere)
            * costs.elsewhere_bytes,
            "the log": min(_NODE_LOG, logged * WINDOW),
        }

    def network(self) -> float:
        """Bits a second that each node sends."""
        work = self._work
        out = work.delivered * (work.event_bytes + _FRAME) + work.delivered / work.burst * _HEADERS
        said = _sum(self._events, "said") * self._event_bytes
        return 8 * (out + said + _sum(self._said, "said") * _MESSAGE) / self._nodes

    # Of the broker, and the storage

    @property
    def _event_bytes(self) -> float:
        """Of an event on its way to other nodes."""
        return (self._work.event_bytes + _PARCEL) * self._work.burst

    def broker(self) -> dict[str, float]:
        """Cores of the busiest server."""
        return self._shard({**self._said, **self._events}, self._calls)

    def _shard(self, said: Rates, calls: float) -> dict[str, float]:
        """It has what all nodes hear, and its part of everything else; all are asked the place."""
        costs, shards = self._costs, self._shards
        asked = said.get("asked place", 0.0) + said.get("asked missed", 0.0) / shards
        to_all = {each: many for each, many in said.items() if _is_to_all(each)}
        answers = {each: many for each, many in said.items() if each.endswith(" answer")}
        events = {each: many for each, many in said.items() if each.endswith(" event")}
        used = {
            "calls": calls * costs.broker_call_us,
            "questions": asked * costs.broker_call_us,
            "events": self._broker_us(events) / shards,
            "to all nodes": self._broker_us(to_all),
            "answers": self._broker_us(answers) / shards,
        }
        return {each: us * _US for each, us in used.items()}

    def storage(self) -> float:
        """Cores; those of the accounts too, if they are there."""
        accounts = 2 * self._work.asked * self._work.priced * self._costs.broker_store_us
        return (self._storage_us(self._said) + accounts) * _US

    def broker_network(self) -> float:
        """Bits a second that the busiest server sends, if all have as much."""
        copies = _sum(self._said, "heard") + _sum(self._said, "echoed")
        events = _sum(self._events, "heard") + _sum(self._events, "echoed")
        return 8 * (events * self._event_bytes + copies * _MESSAGE) / self._shards

    def logged(self) -> tuple[float, float]:
        """Messages, and bytes, that come to the busiest log a second."""
        to_all = sum(many for each, many in self._said.items() if _is_to_all(each, "said"))
        others = _sum(self._said, "said") - to_all
        published = _sum(self._events, "said") / self._shards
        said = to_all + others / self._shards
        return published * self._work.burst + said, published * self._event_bytes + said * _MESSAGE

    def broker_memory(self) -> float:
        """Bytes of the broker's servers and the storage's, with a log that reaches back."""
        _, bytes_ = self.logged()
        return self._work.connections * self._costs.broker_session_bytes + WINDOW * bytes_

    # A node dies

    def storm(self) -> tuple[dict[str, float], float]:
        """Its clients come to the others, which know by then that it is dead.

        Returns:
            Seconds until the last is back, by what there is no more of: the longest counts. And
            how many messages that is for the logs.
        """
        sessions, left = self._work.connections / self._nodes, self._nodes - 1
        back = counts.revive(left, round(self._work.rooms))
        node_us = self._costs.move_us + self._node_us(_beyond(back, counts.revive(1, 0)))
        broker_us = sum(self._shard(back, 0.0).values()) / _US
        nodes_spare = left - self._nodes * sum(self.cores().values())
        seconds = {
            "clients": _BACKOFF,
            "nodes": _seconds(sessions * node_us, nodes_spare),
            "broker": _seconds(sessions * broker_us, 1 - sum(self.broker().values())),
            "storage": _seconds(sessions * self._storage_us(back), 1 - self.storage()),
        }
        return seconds, sessions * _sum(back, "said")

    # What messages and records cost

    def _node_us(self, said: Rates) -> float:
        costs = self._costs
        return (
            _sum(said, "said") * costs.say_us
            + _sum(said, "heard") * costs.hear_us
            + said.get("heard changes", 0.0) * costs.told_us
            + _sum(said, "stored") * costs.store_us
        )

    def _broker_us(self, said: Rates) -> float:
        copies = _sum(said, "heard") + _sum(said, "echoed")
        return (
            _sum(said, "said") * self._costs.broker_parcel_us + copies * self._costs.broker_copy_us
        )

    def _storage_us(self, said: Rates) -> float:
        return _sum(said, "stored") * self._costs.broker_store_us


def _sum(said: Rates, what: str) -> float:
    return sum(many for each, many in said.items() if each.startswith(f"{what} "))


def _is_to_all(what: str, verb: str = "") -> bool:
    """Whether it goes to all nodes, by the one channel that all hear."""
    done, _, kind = what.partition(" ")
    return kind in _TO_ALL and (not verb or done == verb)


def _beyond(tally: Mapping[str, float], measured: Mapping[str, float]) -> dict[str, float]:
    """What it is more than what was measured, with two nodes and no rooms."""
    return {each: tally.get(each, 0) - measured.get(each, 0) for each in {*tally, *measured}}


def _seconds(us: float, cores: float) -> float:
    return us * _US / cores if cores > 0 else float("inf")
