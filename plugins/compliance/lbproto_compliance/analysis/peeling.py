"""Peel chains: a large amount that moves on and on, and loses a little at each step.

Whoever holds a large amount pays a little of it to somebody and the rest to a new address of their
own, again and again (Meiklejohn et al., "A Fistful of Bitcoins", IMC 2013, section 5). Wallets that
give change do the same for a few payments, so only long chains count, and they count little.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from lbproto_compliance.analysis.report import MAX_EVIDENCE, Evidence
from lbproto_compliance.analysis.score import Finding
from lbproto_compliance.graph import Graph

__all__ = ["FEWEST_LINKS", "find_peel_chain"]

FEWEST_LINKS = 5
"""Payments of a chain."""

_MAX_LINKS = 100  # that are followed in each direction
_MAX_DEGREE = 100  # transactions: one with more is not a step of anything
_LEAST_REST = 0.8  # of what was paid, that moves on


class _Link(NamedTuple):
    """An address that paid a little of what it had to somebody, and the rest to a new address."""

    node: int
    tx: int
    next: int


def find_peel_chain(graph: Graph, seed: int) -> Iterator[Finding]:
    """The chain that the address is a part of, if it has at least `FEWEST_LINKS` payments.

    Whoever is paid a little by a chain is not part of it.
    """
    before = _links_before(graph, seed)
    after = _links_after(graph, seed)
    links = [*before, *after]
    if len(links) < FEWEST_LINKS:
        return
    # Those around the address: whoever reads this begins there.
    first = max(0, min(len(before) - MAX_EVIDENCE // 2, len(links) - MAX_EVIDENCE))
    evidence = [
        Evidence(
            graph.tx_hash(link.tx),
            graph.address(link.node),
            f"peel chain, payment {number} of {len(links)}",
        )
        for number, link in enumerate(links, start=1)
    ]
    yield Finding(
        "peel_chain",
        "outgoing" if after else "incoming",
        1,
        Fraction(1),
        Fraction(1),
        evidence[first : first + MAX_EVIDENCE],
    )


def _links_after(graph: Graph, node: int) -> list[_Link]:
    links: list[_Link] = []
    # Each address is new where it is paid, so no chain comes back to itself.
    while len(links) < _MAX_LINKS and (link := _link(graph, node)):
        links.append(link)
        node = link.next
    return links


def _links_before(graph: Graph, node: int) -> list[_Link]:
    links: list[_Link] = []
    while len(links) < _MAX_LINKS and _is_new(graph, node):
        link = _link(graph, int(graph.incoming(node).sources[0]))
        if link is None or link.next != node:
            break
        links.append(link)
        node = link.node
    return links[::-1]


def _link(graph: Graph, node: int) -> _Link | None:
    if graph.degree(node) > _MAX_DEGREE:
        return None
    paid = graph.outgoing(node)
    if len(paid.txs) != 2:
        return None
    little, rest = np.argsort(paid.amounts).tolist()
    targets, txs = paid.targets.tolist(), paid.txs.tolist()
    # On a chain of coins both are outputs of one transaction that nobody else pays into.
    alone = txs[0] == txs[1] if len(graph.inputs(txs[0])) else True
    is_link = (
        alone
        and len({node, *targets}) == 3
        and paid.assets[0] == paid.assets[1]
        and paid.amounts[rest] >= _LEAST_REST * (paid.amounts[little] + paid.amounts[rest])
        and _is_new(graph, targets[rest])
    )
    return _Link(node, txs[rest], targets[rest]) if is_link else None


def _is_new(graph: Graph, node: int) -> bool:
    """Whether it was paid once, by one address."""
    return graph.degree(node) <= _MAX_DEGREE and len(graph.incoming(node).txs) == 1
