"""Which addresses are one owner's: those that sign one transaction together.

Common-input ownership (Nakamoto 2008, section 10; Meiklejohn et al., "A Fistful of Bitcoins", IMC
2013): whoever spends several inputs in one transaction holds the keys of all. CoinJoins are left
out first, because there it is false.

How sure a cluster is is the least sure of what joined it:

=========================  =====  ======================================================
joined by                  sure   because
=========================  =====  ======================================================
nothing: one address       1.0    there is nothing to be wrong about
`common_input_ownership`   0.9    CoinJoins that have no shape (PayJoin) join strangers
`deposit_address_reuse`    0.8    friends and employers pay into one's deposit address
`change_output`            0.5    a guess, which joins whole clusters when it is wrong
=========================  =====  ======================================================

The figures rank; they are our judgement, and no measured frequencies. Likely change never joins
unless `build` is told to.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lbproto_compliance.graph.arrays import Int32s

__all__ = ["CONFIDENCE", "Cluster", "cluster_of", "join", "joined_inputs"]

CONFIDENCE = {
    "common_input_ownership": 0.9,
    "deposit_address_reuse": 0.8,
    "change_output": 0.5,
}
"""How sure each heuristic is, 0 to 1."""


class Cluster(NamedTuple):
    """Addresses that are taken for one owner's.

    Attributes:
        id: the smallest of its addresses. The same data, the same id.
        members: nodes, ascending.
        heuristics: what joined them; empty for a single address.
        confidence: how sure that is, 0 to 1.
    """

    id: str
    members: Int32s
    heuristics: tuple[str, ...]
    confidence: float

    @property
    def size(self) -> int:
        """How many addresses."""
        return len(self.members)


def cluster_of(smallest: str, members: Int32s, *heuristics: str) -> Cluster:
    """A cluster, as sure as the least sure heuristic.

    Args:
        smallest: the address of the first member.
        members: nodes, ascending.
        heuristics: names in `CONFIDENCE`; what a single address is told to be joined by is nothing.
    """
    used = heuristics if len(members) > 1 else ()
    return Cluster(smallest, members, used, min((CONFIDENCE[name] for name in used), default=1.0))


def joined_inputs(txs: Int32s, nodes: Int32s) -> tuple[Int32s, Int32s]:
    """Pairs that join all the inputs of each transaction: each with the one before it.

    Args:
        txs: (i,) ascending.
        nodes: (i,) the inputs' addresses.
    """
    same = txs[1:] == txs[:-1]
    return nodes[:-1][same], nodes[1:][same]


def join(count: int, left: Int32s, right: Int32s) -> Int32s:
    """Union-find over all pairs at once.

    Every root learns of the smallest root that it has a pair with, then all pointers are followed
    to their ends, until no pair has two roots: a few rounds.

    Args:
        count: of nodes.
        left: (p,) one of each pair.
        right: (p,) the other.

    Returns:
        (count,) the smallest node of each one's component.
    """
    roots = np.arange(count, dtype=np.int32)
    while True:
        ours, theirs = roots[left], roots[right]
        apart = ours != theirs
        if not apart.any():
            return roots
        left, right, ours, theirs = left[apart], right[apart], ours[apart], theirs[apart]
        np.minimum.at(roots, np.maximum(ours, theirs), np.minimum(ours, theirs))
        while not np.array_equal(roots, further := roots[roots]):
            roots = further
