"""Walks around addresses, by one library in a process of its own; prints what they cost.

    python -m benchmarks.graph_walks LIBRARY DIRECTORY
    python -m benchmarks.graph_walks build DIRECTORY

The directory has payments that `benchmarks.graph_data` made. `build` writes our graph beside them,
which `lbproto` maps, and leaves walks in it at some random time.

Every library answers the same for an address: how many hops, up to three, each other one is away,
along the payments and against them, addresses with more than 1,000 payments found but not walked
through; and all payments that were walked, in full. What they answer is told as a digest.
"""

from __future__ import annotations

import ctypes
import gc
import hashlib
import json
import random
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from statistics import median, quantiles
from threading import Event, Thread
from time import perf_counter, sleep
from typing import Any, TypeAlias

import numpy as np
import psutil
from numpy.typing import NDArray

from benchmarks.graph_data import Payments, load
from lbproto_compliance.graph import Expansion, Flows, Graph, Limits, Walk, build, expand

HOPS = 3
HUB_DEGREE = 1_000
_TRIES = 50

Payment: TypeAlias = tuple[Any, ...]
Found: TypeAlias = tuple[Iterable[tuple[Any, int]], Iterable[Payment]]
"""Addresses and how far they are; sources, targets, transactions, amounts: in one direction."""

Query: TypeAlias = Callable[[str], Any]
Read: TypeAlias = Callable[[Any], tuple[Found, Found]]
"""An answer in words that all share; not timed."""


def ours(directory: Path) -> tuple[Query, Read]:
    graph = Graph.open(directory / "graph")

    def query(address: str) -> Expansion:
        node = graph.node(address)
        assert node is not None  # noqa: S101 - it was made for this graph
        return expand(graph, [node], HOPS, Limits(hub_degree=HUB_DEGREE))

    def found(walk: Walk) -> Found:
        nodes = zip(walk.nodes.tolist(), walk.hops.tolist(), strict=True)
        return nodes, zip(*(column.tolist() for column in walk.edges[:4]), strict=True)

    return query, lambda answer: (found(answer.incoming), found(answer.outgoing))


def rustworkx(directory: Path) -> tuple[Query, Read]:
    """As its users have it: a payment is what an edge carries."""
    import rustworkx as rx

    payments = load(directory)
    graph = rx.PyDiGraph()
    graph.add_nodes_from(_names(payments))
    ends = payments.sources.tolist(), payments.targets.tolist()
    graph.add_edges_from(list(zip(*ends, _carried(payments), strict=True)))
    nodes = {address: node for node, address in enumerate(graph.nodes())}
    hubs = {*np.flatnonzero(payments.degrees > HUB_DEGREE).tolist()}

    def query(address: str) -> Any:
        node = nodes[address]
        return walk(node, graph.in_edges, 0, hubs), walk(node, graph.out_edges, 1, hubs)

    return query, lambda answer: (_read(answer[0]), _read(answer[1]))


def rustworkx_columns(directory: Path) -> tuple[Query, Read]:
    """The least of it: edges carry nothing, and are positions in columns of NumPy's."""
    import rustworkx as rx

    payments = load(directory)
    graph = rx.PyDiGraph()
    graph.add_nodes_from(_names(payments))
    ends = payments.sources.tolist(), payments.targets.tolist()
    graph.add_edges_from_no_data(list(zip(*ends, strict=True)))
    nodes = {address: node for node, address in enumerate(graph.nodes())}
    hubs = {*np.flatnonzero(payments.degrees > HUB_DEGREE).tolist()}
    sources, targets, amounts = map(np.array, payments[1:4])

    def walk_columns(node: int, edges: Any, others: Any) -> Any:
        hops, walked, frontier = {node: 0}, [], [node]
        for hop in range(1, HOPS + 1):
            following = []
            for each in frontier:
                walked.extend(edges(each))
                for other in others(each):
                    if other not in hops:
                        hops[other] = hop
                        if other not in hubs:
                            following.append(other)
            frontier = following
        at = np.array(walked, np.int64)
        return hops, (sources[at], targets[at], at, amounts[at])

    def query(address: str) -> Any:
        node = nodes[address]
        return (
            walk_columns(node, graph.in_edge_indices, graph.predecessor_indices),
            walk_columns(node, graph.out_edge_indices, graph.successor_indices),
        )

    def found(answer: Any) -> Found:
        hops, columns = answer
        return hops.items(), zip(*(column.tolist() for column in columns), strict=True)

    return query, lambda answer: (found(answer[0]), found(answer[1]))


def networkx(directory: Path) -> tuple[Query, Read]:
    """As its users have it: nodes are addresses."""
    import networkx as nx

    payments = load(directory)
    names = _names(payments)
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    graph.add_nodes_from(names)
    ends = zip(payments.sources.tolist(), payments.targets.tolist(), strict=True)
    for (source, target), carried in zip(ends, _carried(payments), strict=True):
        graph.add_edge(names[source], names[target], paid=carried)
    hubs = {names[node] for node in np.flatnonzero(payments.degrees > HUB_DEGREE).tolist()}
    places = {name: node for node, name in enumerate(names)}

    def query(address: str) -> Any:
        return (
            walk(address, lambda node: graph.in_edges(node, data="paid"), 0, hubs),
            walk(address, lambda node: graph.out_edges(node, data="paid"), 1, hubs),
        )

    def found(answer: Any) -> Found:
        hops, walked = _read(answer)
        return (
            ((places[node], hop) for node, hop in hops),
            ((places[one], places[other], *carried) for one, other, *carried in walked),
        )

    return query, lambda answer: (found(answer[0]), found(answer[1]))


def walk(node: Any, listed: Callable[[Any], Any], end: int, hubs: set[Any]) -> Any:
    """Breadth-first, as it is written for a graph that is asked a node at a time."""
    hops, walked, frontier = {node: 0}, [], [node]
    for hop in range(1, HOPS + 1):
        following = []
        for each in frontier:
            for payment in listed(each):
                walked.append(payment)
                other = payment[end]
                if other not in hops:
                    hops[other] = hop
                    if other not in hubs:
                        following.append(other)
        frontier = following
    return hops, walked


def _read(answer: Any) -> Found:
    hops, walked = answer
    return hops.items(), ((source, target, *carried) for source, target, carried in walked)


def _names(payments: Payments) -> list[str]:
    return [str(address, "ascii") for address in payments.addresses]


def _carried(payments: Payments) -> Iterable[tuple[int, float]]:
    return enumerate(payments.amounts.tolist())


LIBRARIES: Mapping[str, Callable[[Path], tuple[Query, Read]]] = {
    "lbproto": ours,
    "rustworkx": rustworkx,
    "rustworkx-columns": rustworkx_columns,
    "networkx": networkx,
}


def measure(library: str, directory: Path) -> dict[str, Any]:
    """Load, answer everything once for the digest, and once more for the time."""
    addresses = load(directory).addresses
    seeds = [str(addresses[node], "ascii") for node in load(directory).seeds.tolist()]
    largest = str(addresses[int(load(directory).degrees.argmax())], "ascii")
    del addresses
    before = _resident()
    begin = perf_counter()
    query, read = LIBRARIES[library](directory)
    built = perf_counter() - begin
    digest, walked = hashlib.sha256(), []
    for seed in seeds:
        answer = [(sorted(nodes), sorted(paid)) for nodes, paid in read(query(seed))]
        walked.append(sum(len(paid) for _, paid in answer))
        digest.update(repr(answer).encode())
    gc.collect()
    taken = []
    for seed in seeds:
        begin = perf_counter()
        query(seed)
        taken.append(perf_counter() - begin)
    ctypes.CDLL(None).malloc_trim(0)  # what building and the digest took and left
    found = {
        "digest": digest.hexdigest(),
        "p50_ms": median(taken) * 1e3,
        "p99_ms": quantiles(taken, n=100)[98] * 1e3,
        "walked": median(walked),
        "memory_mb": (_resident() - before) / 1e6,
        "build_s": built,
        "peak_mb": (_peak() - before) / 1e6,
    }
    if library == "lbproto":  # the others have no limit to end it at
        begin = perf_counter()
        query(largest)
        found["largest_ms"] = (perf_counter() - begin) * 1e3
    return found


def build_ours(directory: Path) -> dict[str, float]:
    payments, before = load(directory), _resident()
    count = len(payments.sources)
    begin = perf_counter()
    build(
        directory / "graph",
        Flows(
            addresses=payments.addresses,
            tx_hashes=np.arange(count).astype("S8"),
            tx_times=np.arange(count),
            sources=payments.sources,
            targets=payments.targets,
            txs=np.arange(count, dtype=np.int32),
            amounts=payments.amounts,
            assets=np.zeros(count, np.int16),
            asset_names=("ETH",),
        ),
    )
    found = {"build_s": perf_counter() - begin, "peak_mb": (_peak() - before) / 1e6}
    return found | {"leave_ms": leave(Graph.open(directory / "graph")) * 1e3}


def leave(graph: Graph) -> float:
    """How long walks as large as may be go on once they are to end, at most; in seconds."""
    busiest = np.argsort(graph.degrees)[-50:].astype(np.int32)
    return max(_left(graph, busiest) for _ in range(_TRIES))


class _Left(Exception):
    pass


def _left(graph: Graph, seeds: NDArray[np.int32]) -> float:
    asked = Event()
    moments: list[float] = []

    def step(hop: int, edges: int) -> None:
        if asked.is_set():
            raise _Left

    def run() -> None:
        try:
            while True:
                expand(graph, seeds, 5, step=step)
        except _Left:
            moments.append(perf_counter())

    thread = Thread(target=run)
    thread.start()
    sleep(random.uniform(0.001, 0.02))  # noqa: S311 - no secret
    begin = perf_counter()
    asked.set()
    thread.join()
    return moments[0] - begin


def _resident() -> int:
    return int(psutil.Process().memory_info().rss)


def _peak() -> int:
    """Of this program only: what `getrusage` tells is its parent's where that was larger."""
    (line,) = (
        line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line
    )
    return int(line.split()[1]) * 1024


def main(what: str, directory: Path) -> None:
    """Run it."""
    found = build_ours(directory) if what == "build" else measure(what, directory)
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
