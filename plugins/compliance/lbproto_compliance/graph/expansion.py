"""Around an address: where its money came from and where it went, some hops far.

Breadth-first along the payments and against them, a level of nodes at a time: what is done for one
node is done for all of a level in one go. Three things bound it. An address with many transactions
is a hub, and most likely a service: it is found, but the money of its many customers is nobody's
trace, so it is not walked through, unless the walk begins there. No more than so many payments are
walked in each direction: of the level that would exceed that, nodes with few payments come first,
and the last one's newest. And the caller is asked before every piece of a level, and may raise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lbproto_compliance.graph.arrays import Int32s, Int64s
from lbproto_compliance.graph.edges import Edges
from lbproto_compliance.graph.graph import Graph

__all__ = ["LIMITS", "Expansion", "Limits", "Step", "Walk", "expand"]


class Limits(NamedTuple):
    """What bounds a walk.

    Attributes:
        hub_degree: transactions; an address with more is not walked through.
        most_edges: payments that are walked in each direction.
        every: payments between two steps; so many take about a millisecond.
    """

    hub_degree: int = 1_000
    most_edges: int = 250_000
    every: int = 65_536


LIMITS = Limits()
"""Where nobody sets others."""

Step = Callable[[int, int], None]
"""Told the hop that is walked, from 1, and how many payments have been; raises to end it."""


class Walk(NamedTuple):
    """What was found in one direction.

    Attributes:
        nodes: seeds first, then by distance.
        hops: (nodes,) how far each is.
        edges: all payments of the nodes that were walked through.
        hubs: those of `nodes` that are hubs, without seeds.
        cut: whether there were more payments than may be walked.
        stopped: whether a hub has payments that hops would have allowed to walk.
    """

    nodes: Int32s
    hops: NDArray[np.int8]
    edges: Edges
    hubs: Int32s
    cut: bool
    stopped: bool


class Expansion(NamedTuple):
    """What is around some addresses.

    Attributes:
        incoming: against the payments: where money came from.
        outgoing: along them: where it went.
    """

    incoming: Walk
    outgoing: Walk

    @property
    def truncated(self) -> bool:
        """Whether a hub or the limit left something out."""
        return any(walk.cut or walk.stopped for walk in self)


def expand(
    graph: Graph,
    seeds: Sequence[int] | Int32s,
    hops: int,
    limits: Limits = LIMITS,
    *,
    step: Step | None = None,
) -> Expansion:
    """Walk from some nodes in both directions.

    Args:
        seeds: nodes to begin at: an address, or all of its cluster.
        hops: how far, 0 to 127.
        limits: what bounds it.
        step: called before each piece of work.

    Raises:
        ValueError: hops are out of range.
        Exception: what `step` raises.
    """
    if not 0 <= hops <= 127:
        raise ValueError(f"hops are 0 to 127, not {hops}")
    begin = _distinct(np.array(seeds, np.int64))
    try:
        new = graph.marks.pop()
    except IndexError:  # to make one takes longer than most walks
        new = np.ones(graph.nodes, np.bool_)
    incoming = _walk(graph, _Lists.incoming(graph), begin, hops, limits, step, new)
    new[incoming.nodes] = True
    outgoing = _walk(graph, _Lists.outgoing(graph), begin, hops, limits, step, new)
    new[outgoing.nodes] = True
    graph.marks.append(new)  # not where `step` has raised: it is marked then
    return Expansion(incoming, outgoing)


class _Lists(NamedTuple):
    """Each node's payments in one direction.

    Attributes:
        offsets: (n + 1,) where a node's begin.
        others: (e,) the node at the other end.
        edges: (e,) which edges they are; None where that is their position.
    """

    offsets: Int32s
    others: Int32s
    edges: Int32s | None

    @classmethod
    def incoming(cls, graph: Graph) -> _Lists:
        return cls(graph.arrays.in_offsets, graph.arrays.in_sources, graph.arrays.in_edges)

    @classmethod
    def outgoing(cls, graph: Graph) -> _Lists:
        return cls(graph.arrays.out_offsets, graph.arrays.targets, None)

    def of(self, nodes: Int64s) -> _Payments:
        """All payments of some nodes."""
        ends = self.offsets[nodes + 1].astype(np.int64)
        counts = ends - self.offsets[nodes]
        return _Payments(nodes, ends, counts, counts.cumsum())

    def columns(self, graph: Graph, pieces: Sequence[_Piece]) -> Edges:
        """Payments in full."""
        nodes, counts, positions = map(np.concatenate, zip(*pieces, strict=True))
        walked = nodes.astype(np.int32).repeat(counts)
        others = self.others[positions]
        if self.edges is None:
            return graph.edges_at(positions, walked, others)
        return graph.edges_at(self.edges[positions].astype(np.int64), others, walked)


class _Piece(NamedTuple):
    """Payments of some nodes: how many are whose, and where in the lists each is."""

    nodes: Int64s
    counts: Int64s
    positions: Int64s


_NOTHING = _Piece(*[np.empty(0, np.int64)] * 3)


class _Payments(NamedTuple):
    """What some nodes paid or were paid, or the newest of that.

    Attributes:
        nodes: whose.
        ends: where each one's end in the lists.
        counts: how many of them, from the end.
        sums: of the counts, up to each node.
    """

    nodes: Int64s
    ends: Int64s
    counts: Int64s
    sums: Int64s

    @property
    def total(self) -> int:
        return int(self.sums[-1]) if len(self.sums) else 0

    def limited(self, most: int) -> _Payments:
        """Fewer: those of the nodes with few, and the newest of the last one."""
        order = self.counts.argsort(kind="stable")
        sums = self.counts[order].cumsum()
        taken = int(sums.searchsorted(most)) + 1  # with the one that reaches the limit
        order, sums = order[:taken], sums[:taken]
        counts = self.counts[order]
        counts[-1] -= sums[-1] - most
        sums[-1] = most
        return _Payments(self.nodes[order], self.ends[order], counts, sums)

    def pieces(self, every: int) -> Iterator[_Piece]:
        """All of them in their order, so many at a time, a busy node's in several."""
        total = self.total
        shifts = self.ends - self.sums
        if 0 < total <= every:  # nearly always
            positions = shifts.repeat(self.counts)
            positions += np.arange(total)
            yield _Piece(self.nodes, self.counts, positions)
            return
        begins = self.sums - self.counts
        for low in range(0, total, every):
            high = min(low + every, total)
            part = slice(self.sums.searchsorted(low, "right"), self.sums.searchsorted(high) + 1)
            counts = np.minimum(self.sums[part], high) - np.maximum(begins[part], low)
            positions = shifts[part].repeat(counts)
            positions += np.arange(low, high)
            yield _Piece(self.nodes[part], counts, positions)


def _walk(
    graph: Graph,
    lists: _Lists,
    seeds: Int64s,
    hops: int,
    limits: Limits,
    step: Step | None,
    new: NDArray[np.bool_],
) -> Walk:
    """Walk in one direction.

    Nodes are of 64 bits here: NumPy converts others each time they are positions.

    Args:
        new: (n,) all True; False afterwards for the nodes that were found.
    """
    new[seeds] = False
    frontier = seeds
    levels, hubs, pieces = [seeds], [_NOTHING.nodes], [_NOTHING]
    left, cut, stopped = limits.most_edges, False, False
    for hop in range(1, hops + 1):
        payments = lists.of(frontier)
        if cut := payments.total > left:
            payments = payments.limited(left)
        found = []
        for piece in payments.pieces(limits.every):
            if step is not None:
                step(hop, limits.most_edges - left)
            others = lists.others[piece.positions].astype(np.int64)
            found.append(_distinct(others[new[others]]))
            new[found[-1]] = False
            pieces.append(piece)
            left -= len(others)
        if not found:
            break
        frontier = found[0] if len(found) == 1 else np.concatenate(found)
        levels.append(frontier)
        large = graph.arrays.degrees[frontier] > limits.hub_degree
        if np.count_nonzero(large):
            hubs.append(frontier[large])
            stopped |= hop < hops and lists.of(hubs[-1]).total > 0
            frontier = frontier[~large]
        if cut:
            break
    return Walk(
        np.concatenate(levels, dtype=np.int32),
        np.arange(len(levels), dtype=np.int8).repeat([len(level) for level in levels]),
        lists.columns(graph, pieces),
        np.concatenate(hubs, dtype=np.int32),
        cut,
        stopped,
    )


def _distinct(nodes: Int64s) -> Int64s:
    """Each node once, ascending: `np.unique`, in a fifth of its time where they are few."""
    nodes.sort()
    first = np.empty(len(nodes), np.bool_)
    first[:1] = True
    np.not_equal(nodes[1:], nodes[:-1], out=first[1:])
    return nodes[first]
