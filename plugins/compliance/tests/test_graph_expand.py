"""A walk beside one in plain Python; hubs, limits and leaving."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproto_compliance.graph import Edges, Flows, Graph, Limits, Walk, expand

Payment: TypeAlias = tuple[int, int]
"""Source and target; each is a transaction of its own, in their order."""

_NODES = 25
_PAYMENTS = st.lists(
    st.tuples(*[st.integers(0, _NODES - 1).map(lambda n: n * n // _NODES)] * 2), max_size=120
)
_SEEDS = st.lists(st.integers(0, _NODES - 1), min_size=1, max_size=3)


def _graph(payments: Sequence[Payment], nodes: int = _NODES) -> Graph:
    sources, targets = np.array(payments, np.int32).reshape(-1, 2).T
    count = len(payments)
    return Graph.of(
        Flows(
            addresses=np.array([b"%07d" % node for node in range(nodes)]),
            tx_hashes=np.array([b"%07d" % tx for tx in range(count)], "S7"),
            tx_times=np.arange(count),
            sources=sources,
            targets=targets,
            txs=np.arange(count, dtype=np.int32),
            amounts=np.ones(count),
            assets=np.zeros(count, np.int16),
            asset_names=("ETH",),
        )
    )


def _reference(
    payments: Sequence[Payment], seeds: Collection[int], hops: int, hub_degree: int
) -> tuple[dict[int, int], list[int], set[int], bool]:
    """Distances, the transactions walked, hubs, and whether one was stopped at: along payments."""
    degrees: Counter[int] = Counter()
    for payment in payments:
        degrees.update(set(payment))
    distances = dict.fromkeys(seeds, 0)
    walked, hubs, stopped = [], set(), False
    frontier = set(seeds)
    for hop in range(1, hops + 1):
        found = set()
        for tx, (source, target) in enumerate(payments):
            if source in frontier:
                walked.append(tx)
                if target not in distances:
                    distances[target] = hop
                    found.add(target)
        large = {node for node in found if degrees[node] > hub_degree}
        stopped |= hop < hops and any(source in large for source, _ in payments)
        hubs |= large
        frontier = found - large
    return distances, walked, hubs, stopped


def _distances(walk: Walk) -> dict[int, int]:
    return dict(zip(walk.nodes.tolist(), walk.hops.tolist(), strict=True))


def _payments(edges: Edges) -> list[tuple[int, int, int]]:
    columns = (edges.txs, edges.sources, edges.targets)
    return sorted(zip(*(column.tolist() for column in columns), strict=True))


@given(_PAYMENTS, _SEEDS, st.integers(0, 5), st.integers(1, 12), st.integers(1, 9))
def test_a_walk_finds_what_plain_python_finds(
    payments: list[Payment], seeds: list[int], hops: int, hub_degree: int, every: int
) -> None:
    found = expand(_graph(payments), seeds, hops, Limits(hub_degree, 10_000, every))
    backwards = [(target, source) for source, target in payments]
    truncated = False
    for walk, along in ((found.incoming, backwards), (found.outgoing, payments)):
        distances, walked, hubs, stopped = _reference(along, seeds, hops, hub_degree)
        assert _distances(walk) == distances
        assert walk.hops.tolist() == sorted(walk.hops.tolist())
        assert _payments(walk.edges) == [(tx, *payments[tx]) for tx in sorted(walked)]
        assert sorted(walk.hubs.tolist()) == sorted(hubs)
        assert (walk.cut, walk.stopped) == (False, stopped)
        truncated |= stopped
    assert found.truncated == truncated


@given(_PAYMENTS, _SEEDS, st.integers(1, 5), st.integers(0, 60), st.integers(1, 9))
def test_a_limited_walk_is_a_part_of_the_whole(
    payments: list[Payment], seeds: list[int], hops: int, most: int, every: int
) -> None:
    graph = _graph(payments)
    whole = expand(graph, seeds, hops, Limits(1_000, 10_000))
    limited = expand(graph, seeds, hops, Limits(1_000, most, every))
    for all_, part in zip(whole, limited, strict=True):
        assert part.cut == (len(all_.edges.txs) > most)
        assert len(part.edges.txs) == min(most, len(all_.edges.txs))
        assert set(_payments(part.edges)) <= set(_payments(all_.edges))
        assert _distances(part).items() <= _distances(all_).items()


def test_a_hub_is_found_and_not_walked_through() -> None:
    hub, seed, customers = 0, 1, range(2, 14)
    payments = [(seed, hub), *((hub, customer) for customer in customers)]
    graph = _graph(payments)
    found = expand(graph, [seed], 3, Limits(hub_degree=12)).outgoing
    assert (found.nodes.tolist(), found.hubs.tolist()) == ([seed, hub], [hub])
    assert (found.cut, found.stopped) == (False, True)
    assert not expand(graph, [seed], 1, Limits(hub_degree=12)).truncated  # nothing is left out
    assert len(expand(graph, [seed], 3, Limits(hub_degree=13)).outgoing.nodes) == 14


def test_a_walk_may_begin_at_a_hub() -> None:
    graph = _graph([(0, node) for node in range(1, 20)])
    found = expand(graph, [0], 1, Limits(hub_degree=5))
    assert len(found.outgoing.nodes) == 20
    assert not found.truncated


def test_what_is_cut_is_the_busy_and_the_old() -> None:
    few, many = 1, 2
    payments = [(0, few), (0, many), *((many, 3 + at) for at in range(9)), (few, 20), (few, 21)]
    graph = _graph(payments)
    found = expand(graph, [0], 2, Limits(most_edges=7)).outgoing
    assert found.cut
    assert found.nodes.tolist() == [0, few, many, 9, 10, 11, 20, 21]


@pytest.mark.parametrize("hops", [-1, 128])
def test_hops_out_of_range_are_refused(hops: int) -> None:
    with pytest.raises(ValueError, match="0 to 127"):
        expand(_graph([]), [0], hops)


class Left(Exception):
    pass


@pytest.fixture(scope="module")
def hub() -> Graph:
    """Node 0 has 200,000 payments, half of them to it; node 1 is one of its customers."""
    customers = range(1, 100_001)
    payments = [*((0, node) for node in customers), *((node, 0) for node in customers)]
    return _graph(payments, 100_001)


def test_a_customer_of_a_large_hub_costs_nothing(hub: Graph) -> None:
    told = []
    found = expand(hub, [1], 5, step=lambda hop, edges: told.append((hop, edges)))
    assert [walk.hubs.tolist() for walk in found] == [[0], [0]]
    assert found.truncated
    assert told == [(1, 0), (1, 0)]


def test_a_large_hub_itself_is_walked_up_to_the_limit(hub: Graph) -> None:
    found = expand(hub, [0], 5, Limits(most_edges=30_000)).outgoing
    assert found.cut
    assert sorted(found.edges.targets.tolist()) == list(range(70_001, 100_001))  # the newest


@pytest.mark.parametrize("after", [0, 1, 60])
def test_a_walk_is_left_within_a_level(hub: Graph, after: int) -> None:
    told: list[tuple[int, int]] = []

    def step(hop: int, edges: int) -> None:
        if len(told) == after:
            raise Left
        told.append((hop, edges))

    before = expand(hub, [0], 2)
    with pytest.raises(Left):
        expand(hub, [0], 2, Limits(every=1_000), step=step)
    assert told == [(1, 1_000 * at) for at in range(after)]
    # What was left half-way has left nothing behind.
    for walk, again in zip(before, expand(hub, [0], 2), strict=True):
        assert np.array_equal(walk.nodes, again.nodes)
        assert len(walk.edges.txs) == len(again.edges.txs)
