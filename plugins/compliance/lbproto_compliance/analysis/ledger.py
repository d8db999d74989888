"""Which payments are worth following: those of addresses between a harmful one and the seed.

Most of what is around an address leads nowhere. Money of a harmful address can arrive at the seed
(or the seed's at it) only through addresses that lie on a way of few enough payments between the
two, and what these hold depends on all their payments, of whomever. Those are the ledger.

Money is not followed through hubs and attributed services: whoever is paid by an exchange is paid
by the exchange, not by its other customers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lbproto_compliance.analysis.report import Direction
from lbproto_compliance.analysis.taint import Payment
from lbproto_compliance.analysis.volumes import others
from lbproto_compliance.graph import Edges, Graph, Walk

__all__ = ["MAX_PAYMENTS", "Ledger", "ledger"]

MAX_PAYMENTS = 100_000
"""Payments that are followed in each direction; about half a second."""

_BACK: dict[Direction, Direction] = {"incoming": "outgoing", "outgoing": "incoming"}
_BETWEEN_CHECKS = 256  # nodes; some milliseconds
_FAR = 127  # further than any walk
_Int32s: TypeAlias = NDArray[np.int32]
_Hops: TypeAlias = NDArray[np.int8]


class Ledger(NamedTuple):
    """What there is to follow in one direction.

    Attributes:
        payments: in order, those of all that are followed and those between the ends.
        followed: nodes.
        ends: harmful nodes that are near enough.
        cut: whether there was more than may be followed.
    """

    payments: list[Payment]
    followed: frozenset[int]
    ends: frozenset[int]
    cut: bool


def ledger(
    graph: Graph,
    walk: Walk,
    seed: int,
    hops: int,
    *,
    direction: Direction,
    harmful: Collection[int],
    closed: Collection[int],
    most_payments: int = MAX_PAYMENTS,
    check: Callable[[], None] = lambda: None,
) -> Ledger:
    """Choose the payments of one direction.

    Args:
        graph: of which.
        walk: from the seed, in that direction.
        seed: whose exposure is asked for.
        hops: how many payments a way has at most.
        direction: `incoming` or `outgoing`.
        harmful: where ways end.
        closed: nodes that money is not followed through; the harmful may be among them.
        most_payments: of the addresses that are the furthest away, the rest is left out.
        check: called now and then; it may raise to end it.
    """
    nodes = np.sort(walk.nodes)
    near = np.searchsorted(nodes, others(walk.edges, _BACK[direction]))
    far = np.searchsorted(nodes, others(walk.edges, direction))
    ends = np.isin(nodes, _array(harmful)) & (nodes != seed)
    open_ = ~ends & ~np.isin(nodes, _array([*closed, seed]))

    distance = _spread(near, far, nodes == seed, open_, hops)
    remaining = _spread(far, near, ends & (distance <= hops), open_, hops)
    between = np.flatnonzero(open_ & (distance + remaining.astype(np.int16) <= hops))
    between = between[np.argsort(distance[between], kind="stable")]
    listed = _payments_of(graph, nodes[between], most_payments, check)
    kept = between[: len(listed)]
    places = hops - distance[kept] if direction == "incoming" else distance[kept]
    reached = nodes[ends & (distance <= hops)]
    direct = graph.incoming(seed) if direction == "incoming" else graph.outgoing(seed)
    columns = [
        (direct.chosen(np.isin(others(direct, direction), reached)), 0),
        *_once(graph, nodes[kept], places, listed),
    ]
    return Ledger(
        _in_order(columns),
        frozenset(nodes[kept].tolist()),
        frozenset(reached.tolist()),
        len(kept) < len(between),
    )


def _spread(
    from_: NDArray[np.intp],
    to: NDArray[np.intp],
    begin: NDArray[np.bool_],
    open_: NDArray[np.bool_],
    hops: int,
) -> _Hops:
    """How many edges each node is away from the nearest to begin at, through open ones only."""
    distance = np.where(begin, 0, _FAR).astype(np.int8)
    passes = begin | open_
    for hop in range(1, hops + 1):
        reached = to[(distance[from_] == hop - 1) & passes[from_]]
        distance[reached] = np.minimum(distance[reached], hop)
    return distance


def _payments_of(
    graph: Graph, nodes: _Int32s, most: int, check: Callable[[], None]
) -> list[tuple[Edges, Edges]]:
    """What each of the nodes was paid, and paid, up to the one that would be too much."""
    listed: list[tuple[Edges, Edges]] = []
    for node in nodes.tolist():
        if not len(listed) % _BETWEEN_CHECKS:
            check()
        came, went = graph.incoming(node), graph.outgoing(node)
        most -= len(came.txs) + len(went.txs)
        if most < 0:
            break
        listed.append((came, went))
    return listed


def _once(
    graph: Graph, nodes: _Int32s, places: _Hops, listed: list[tuple[Edges, Edges]]
) -> Iterator[tuple[Edges, int]]:
    """Each payment once, with its rank within a transaction.

    On a chain of accounts money may pass several addresses within one transaction: what comes in
    is ranked before what goes out, and the places on the way one after the other.
    """
    ours = np.zeros(graph.nodes, np.bool_)
    ours[nodes] = True
    for place, (came, went) in zip(places.tolist(), listed, strict=True):
        yield came.chosen(~ours[came.sources]), 2 * place
        yield went, 2 * place + 1


def _in_order(columns: Sequence[tuple[Edges, int]]) -> list[Payment]:
    """Without those to oneself, and those that round to nothing."""
    ranks = np.repeat([rank for _, rank in columns], [len(edges.txs) for edges, _ in columns])
    each = zip(*(edges for edges, _ in columns), strict=True)
    edges = Edges(*(np.concatenate(column) for column in each))
    amounts = np.rint(edges.amounts)
    rows = np.lexsort((ranks, edges.txs))
    rows = rows[(edges.sources[rows] != edges.targets[rows]) & (amounts[rows] > 0)]
    return [
        Payment(source, target, tx, asset, int(amount))
        for source, target, tx, asset, amount in zip(
            edges.sources[rows].tolist(),
            edges.targets[rows].tolist(),
            edges.txs[rows].tolist(),
            edges.assets[rows].tolist(),
            amounts[rows].tolist(),
            strict=True,
        )
    ]


def _array(nodes: Collection[int]) -> _Int32s:
    return np.fromiter(nodes, np.int32, len(nodes))
