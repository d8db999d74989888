"""On chains of accounts: who shares an exchange's deposit address is one customer.

An exchange gives each customer an address to pay into, and moves what comes to an address of its
own. Whoever pays into the same deposit address is taken for the same customer (Victor, "Address
Clustering Heuristics for Ethereum", Financial Cryptography 2020). An address is taken for a deposit
address when

1. all that it pays goes to one known exchange;
2. at least one payment to it was forwarded: the same asset, the same amount less at most a fee, no
   more than some hours later, each payment forwarded once.

What an exchange's own addresses are is told by the caller, from attributions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from lbproto_compliance.graph.clusters import Cluster, cluster_of
from lbproto_compliance.graph.edges import Edges
from lbproto_compliance.graph.graph import Graph

__all__ = ["Forwarding", "depositors"]

_ROUNDING = 1e-9  # of an amount: amounts are floating point


class Forwarding(NamedTuple):
    """What counts as forwarded: Victor's parameters.

    Attributes:
        asset: what fees are paid in. Other assets are forwarded whole.
        most_fee: base units of it that may be missing (0.01 ETH).
        most_seconds: between the two payments (3,200 blocks of 14 seconds).
        most_degree: transactions; an address with more is not looked at.
    """

    asset: str = "ETH"
    most_fee: float = 1e16
    most_seconds: int = 44_800
    most_degree: int = 1_000


def depositors(
    graph: Graph,
    node: int,
    exchanges: Iterable[int],
    forwarding: Forwarding | None = None,
    *,
    most: int = 50_000,
) -> Cluster:
    """Who shares deposit addresses with a node, directly or through others; and those addresses.

    Args:
        exchanges: nodes that are known to be exchanges' own.
        forwarding: what counts as forwarded; by default Ethereum's.
        most: transactions of addresses that may be deposit addresses; the search ends there.
    """
    known, rules = frozenset(exchanges), forwarding or Forwarding()
    customers: dict[int, frozenset[int]] = {}
    members = {node}
    waiting = [node]
    while waiting and most > 0:
        user = waiting.pop()
        for each in _looked_at(graph, user, rules):
            if each not in customers:
                most -= max(1, min(graph.degree(each), rules.most_degree))
                customers[each] = _customers(graph, each, known, rules)
            if customers[each] and user in (each, *customers[each]):
                users = customers[each] - members
                members |= users | {each}
                waiting += sorted(users)
            if most <= 0:
                break
    nodes = np.array(sorted(members), np.int32)
    return cluster_of(graph.address(int(nodes[0])), nodes, "deposit_address_reuse")


def _looked_at(graph: Graph, node: int, rules: Forwarding) -> list[int]:
    """What may be a deposit address of a node's, or is one itself."""
    if graph.degree(node) > rules.most_degree:
        return []
    return [node, *np.unique(graph.outgoing(node).targets).tolist()]


def _customers(
    graph: Graph, node: int, exchanges: frozenset[int], rules: Forwarding
) -> frozenset[int]:
    """Whose payments a deposit address forwarded; empty for any other address."""
    if node in exchanges or graph.degree(node) > rules.most_degree:
        return frozenset()
    out = graph.outgoing(node)
    targets = set(out.targets.tolist())
    if len(targets) != 1 or not targets <= exchanges:
        return frozenset()
    into = graph.incoming(node)
    return frozenset(int(into.sources[at]) for at in _forwarded(graph, into, out, rules))


def _forwarded(graph: Graph, into: Edges, out: Edges, rules: Forwarding) -> Iterator[int]:
    """Positions of what was received and then forwarded: each once, the latest first."""
    times = graph.tx_times
    received_at, sent_at = times[into.txs], times[out.txs]
    free = np.ones(len(into.txs), np.bool_)
    for sent in range(len(out.txs)):
        fee = rules.most_fee if graph.asset_names[out.assets[sent]] == rules.asset else 0.0
        rounding = out.amounts[sent] * _ROUNDING
        missing = into.amounts - out.amounts[sent]
        matching = np.flatnonzero(
            free
            & (into.assets == out.assets[sent])
            & (into.txs < out.txs[sent])
            & (sent_at[sent] - received_at <= rules.most_seconds)
            & (missing >= -rounding)
            & (missing <= fee + rounding)
            & (out.amounts[sent] > 0)
        )
        if len(matching):
            free[matching[-1]] = False
            yield int(matching[-1])
