"""How many nodes so much work takes, and what there is no more of first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.capacity.costs import UnitCosts
from benchmarks.capacity.parts import WINDOW, Limits, Parts
from benchmarks.capacity.workload import Rates, Workload

__all__ = ["MAX_NODES", "Capacity", "capacity", "nodes_needed"]

MAX_NODES = 257
"""A node knows 256 others."""

_MAX_KEPT, _MAX_KEPT_BYTES = 100_000, 64 * 2**20  # of a log, by default
_SHARE = 11  # bytes of a session in what a new node is told, beside its user
_OF_NODES = ("node core", "node memory", "node network")
_US = 1e-6


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """What there is to see, with so many nodes.

    Attributes:
        rates: what all of them do a second.
        cores: of each node, by what they are used for.
        memory: bytes of each node, likewise.
        network: bits a second that each node sends.
        broker: cores of the broker's busiest server, by what they are used for.
        broker_network: bits a second that it sends.
        broker_memory: bytes of all its servers, and of the storage.
        storage: cores of the server with the records.
        window: seconds that the busiest log reaches back with the bounds that it has by default.
        kept, kept_bytes: `max_kept` and `max_kept_bytes` with which it reaches back 120 s.
        storm: seconds until the clients of a node that has died are back, by what there is no more
            of; the longest counts.
        storm_messages: that the logs get by that.
        starting: seconds of its core that a new node takes to know the sessions of the others.
        telling: seconds of its core that each of these takes to say them, in one go.
        starting_bytes: that each node is sent then.
    """

    nodes: int
    limits: Limits
    rates: Rates
    cores: Mapping[str, float]
    memory: Mapping[str, float]
    network: float
    broker: Mapping[str, float]
    broker_network: float
    broker_memory: float
    storage: float
    window: float
    kept: float
    kept_bytes: float
    storm: Mapping[str, float]
    storm_messages: float
    starting: float
    telling: float
    starting_bytes: float

    def used(self) -> dict[str, float]:
        """What is used of each limit; 1 is all of it: of the log, its bounds by default."""
        limits = self.limits
        return {
            "node core": sum(self.cores.values()) / limits.cpu,
            "node memory": sum(self.memory.values()) / limits.memory,
            "node network": self.network / limits.network,
            "broker core": sum(self.broker.values()) / limits.cpu,
            "broker network": self.broker_network / limits.network,
            "storage core": self.storage / limits.cpu,
            "log": WINDOW / self.window,
            "nodes": self.nodes / MAX_NODES,
        }


def capacity(
    work: Workload, nodes: int, costs: UnitCosts | None = None, limits: Limits | None = None
) -> Capacity:
    """What so many nodes need.

    Args:
        costs: by default those that were measured.
        limits: by default those of `Limits`.

    Raises:
        ValueError: there are fewer than two nodes.
    """
    if nodes < 2:
        raise ValueError("there are two nodes at least")
    costs, limits = costs or UnitCosts(), limits or Limits()
    parts = Parts(work, nodes, costs, limits)
    messages, bytes_ = parts.logged()
    storm, storm_messages = parts.storm()
    elsewhere = work.connections * (1 - 1 / nodes)
    return Capacity(
        nodes=nodes,
        limits=limits,
        rates=parts.rates,
        cores=parts.cores(),
        memory=parts.memory(),
        network=parts.network(),
        broker=parts.broker(),
        broker_network=parts.broker_network(),
        broker_memory=parts.broker_memory(),
        storage=parts.storage(),
        window=min(WINDOW, _MAX_KEPT / messages, _MAX_KEPT_BYTES / bytes_),
        kept=messages * WINDOW,
        kept_bytes=bytes_ * WINDOW,
        storm=storm,
        storm_messages=storm_messages,
        starting=elsewhere * costs.whole_hear_us * _US,
        telling=work.connections / nodes * costs.whole_say_us * _US,
        starting_bytes=elsewhere * (work.user_bytes + _SHARE),
    )


def nodes_needed(
    work: Workload, costs: UnitCosts | None = None, limits: Limits | None = None
) -> int | None:
    """The fewest nodes that each have enough; None where more do not help.

    What the broker and the storage have is not looked at: see `Capacity.used`.
    """
    for nodes in range(2, MAX_NODES + 1):
        used = capacity(work, nodes, costs, limits).used()
        if max(used[each] for each in _OF_NODES) <= 1:
            return nodes
    return None
