"""What can be seen of whom an address dealt with, without knowing anybody's name."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from lbproto_compliance.analysis.case import Case, Side
from lbproto_compliance.analysis.report import MAX_EVIDENCE, Evidence
from lbproto_compliance.analysis.score import Finding
from lbproto_compliance.analysis.volumes import distinct, largest_share, totals
from lbproto_compliance.analysis.witness import witness
from lbproto_compliance.graph import Graph

__all__ = ["FEWEST_CUSTOMERS", "find_coinjoin", "find_hubs", "find_mixing"]

FEWEST_CUSTOMERS = 10
"""Of a mixer, on either side."""

_MAX_AMOUNTS = 4  # that a mixer takes
_MAX_FEE = 0.1  # of what was paid in
_MAX_EXCEPTIONS = 0.1  # payments that do not fit, customers that are on both sides
_MAX_CANDIDATES = 200  # of one address, that are looked at: those with the most transactions
_MAX_DEGREE = 100_000  # transactions of one that is looked at

_SURE = Fraction(1)


def find_coinjoin(case: Case) -> Iterator[Finding]:
    """What the address put into CoinJoins, and what it took out of them."""
    graph, address = case.graph, case.graph.address(case.seed)
    for direction, edges, whole in case.sides():
        mixed = edges.chosen(graph.coinjoins[edges.txs])
        share = largest_share(totals(mixed), whole)
        if share:
            evidence = [
                Evidence(graph.tx_hash(tx), address, "CoinJoin: equal outputs of several owners")
                for tx in np.unique(mixed.txs)[:MAX_EVIDENCE].tolist()
            ]
            yield Finding("coinjoin", direction, 1, share, _SURE, evidence)


def find_hubs(case: Case, hub_degree: int) -> Iterator[Finding]:
    """The address itself and whom it dealt with, where that is a hub, and most likely a service.

    What is said to be something need not be guessed.

    Args:
        case: the address.
        hub_degree: transactions; a hub has more.
    """
    graph, seed = case.graph, case.seed
    if graph.degree(seed) > hub_degree and seed not in case.identities:
        about = Evidence(witness(graph, seed), graph.address(seed), _has(graph, seed))
        yield Finding("possible_service", "self", 0, _SURE, _SURE, [about])
    for side in case.sides():
        parties = distinct(graph, side.parties)
        hubs = parties[graph.degrees[parties] > hub_degree].tolist()
        unknown = [node for node in hubs if node != seed and node not in case.identities]
        about_each = {node: _has(graph, node) for node in unknown}
        yield from _dealt_with(graph, side, "possible_service", about_each)


def find_mixing(case: Case) -> Iterator[Finding]:
    """Whom the address dealt with, where that works like a mixer, and nothing is said of it.

    On a chain of accounts a mixer takes few different amounts of many, and pays the same to others,
    so that nobody can tell whose is whose (Tornado Cash: 0.1, 1, 10 and 100 ETH). On a chain of
    coins nobody needs to be paid for that: see `find_coinjoin`.
    """
    if case.chain.kind == "coins":
        return
    mixes: dict[int, bool] = {}
    for side in case.sides():
        for node in _candidates(case.graph, side):
            if node not in mixes and node != case.seed and node not in case.identities:
                mixes[node] = _mixes(case.graph, node)
        about = "takes equal amounts of many, and pays as much to others"
        mixers = {node: about for node, does in mixes.items() if does}
        yield from _dealt_with(case.graph, side, "mixing", mixers)


def _has(graph: Graph, node: int) -> str:
    return f"has {graph.degree(node)} transactions"


def _dealt_with(graph: Graph, side: Side, code: str, about: dict[int, str]) -> Iterator[Finding]:
    """A finding on those of some nodes that the address dealt with; the first payment of each."""
    if not about:
        return
    theirs = np.isin(side.parties, np.fromiter(about, np.int32, len(about)))
    edges = side.edges.chosen(theirs)
    share = largest_share(totals(edges), side.totals)
    if share:
        nodes, firsts = np.unique(side.parties[theirs], return_index=True)
        evidence = [
            Evidence(graph.tx_hash(tx), graph.address(node), about[node])
            for node, tx in zip(nodes.tolist(), edges.txs[firsts].tolist(), strict=True)
        ]
        yield Finding(code, side.direction, 1, share, _SURE, evidence[:MAX_EVIDENCE])


def _candidates(graph: Graph, side: Side) -> list[int]:
    """Those with enough transactions to have a mixer's customers, the largest first."""
    nodes = distinct(graph, side.parties)
    degrees = graph.degrees[nodes]
    nodes = nodes[(degrees >= 2 * FEWEST_CUSTOMERS) & (degrees <= _MAX_DEGREE)]
    by_degree = np.argsort(-graph.degrees[nodes], kind="stable")
    candidates: list[int] = nodes[by_degree][:_MAX_CANDIDATES].tolist()
    return candidates


def _mixes(graph: Graph, node: int) -> bool:
    came, went = graph.incoming(node), graph.outgoing(node)
    payers, paid = np.unique(came.sources), np.unique(went.targets)
    customers = min(len(payers), len(paid))
    if customers < FEWEST_CUSTOMERS:
        return False
    if len(np.intersect1d(payers, paid)) > _MAX_EXCEPTIONS * customers:
        return False
    assets, amounts = np.unique([came.assets, came.amounts], axis=1)
    if len(amounts) > _MAX_AMOUNTS:
        return False
    paid_out = went.amounts[:, None]
    fits = (went.assets[:, None] == assets) & (paid_out <= amounts)
    fits &= paid_out >= amounts * (1 - _MAX_FEE)
    return bool(fits.any(axis=1).mean() >= 1 - _MAX_EXCEPTIONS)
