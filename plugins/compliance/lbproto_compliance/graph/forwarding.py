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

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from lbproto_compliance.graph.arrays import Int32s
from lbproto_compliance.graph.clusters import Cluster, cluster_of
from lbproto_compliance.graph.edges import Edges
from lbproto_compliance.graph.graph import Graph

__all__ = ["Deposit", "Forwarding", "depositors", "deposits"]

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


class Deposit(NamedTuple):
    """A deposit address, and who pays into it.

    Attributes:
        node: the deposit address.
        exchange: where it forwards to.
        users: nodes whose payments were forwarded, ascending.
        txs: transactions that forwarded, ascending: the evidence.
    """

    node: int
    exchange: int
    users: Int32s
    txs: Int32s


def deposits(
    graph: Graph, node: int, exchanges: Iterable[int], forwarding: Forwarding | None = None
) -> list[Deposit]:
    """The deposit addresses that a node pays into, and itself where it is one.

    Args:
        exchanges: nodes that are known to be exchanges' own.
        forwarding: what counts as forwarded; by default Ethereum's.
    """
    known, rules = frozenset(exchanges), forwarding or Forwarding()
    found = (_deposit(graph, each, known, rules) for each in _looked_at(graph, node, rules))
    return [each for each in found if each is not None and node in (each.node, *each.users)]


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
    found: dict[int, Deposit | None] = {}
    members = {node}
    waiting = [node]
    while waiting and most > 0:
        user = waiting.pop()
        for each in _looked_at(graph, user, rules):
            if each not in found:
                most -= max(1, min(graph.degree(each), rules.most_degree))
                found[each] = _deposit(graph, each, known, rules)
            deposit = found[each]
            if deposit is not None and user in (deposit.node, *deposit.users):
                users = {*deposit.users.tolist()} - members
                members |= users | {deposit.node}
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


def _deposit(
    graph: Graph, node: int, exchanges: frozenset[int], rules: Forwarding
) -> Deposit | None:
    if node in exchanges or graph.degree(node) > rules.most_degree:
        return None
    out = graph.outgoing(node)
    targets = set(out.targets.tolist())
    if len(targets) != 1 or not targets <= exchanges:
        return None
    into = graph.incoming(node)
    pairs = list(_forwarded(graph, into, out, rules))
    if not pairs:
        return None
    users = {int(into.sources[received]) for received, _ in pairs}
    txs = {int(out.txs[sent]) for _, sent in pairs}
    return Deposit(
        node,
        targets.pop(),
        np.array(sorted(users), np.int32),
        np.array(sorted(txs), np.int32),
    )


def _forwarded(
    graph: Graph, into: Edges, out: Edges, rules: Forwarding
) -> Iterable[tuple[int, int]]:
    """Positions of what was received and of what forwarded it: each once, the latest first."""
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
            yield int(matching[-1]), sent
