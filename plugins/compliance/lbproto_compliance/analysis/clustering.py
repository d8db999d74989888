"""Whose the address likely is, and what is said of the owner's other addresses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from fractions import Fraction

import numpy as np

from lbproto_compliance.analysis.case import Case
from lbproto_compliance.analysis.identities import cited, confidence, worst
from lbproto_compliance.analysis.report import MAX_EVIDENCE, ClusterReport, Evidence
from lbproto_compliance.analysis.score import Finding
from lbproto_compliance.analysis.weights import Weights
from lbproto_compliance.analysis.witness import witness
from lbproto_compliance.graph import CONFIDENCE, Cluster, Forwarding, Graph, depositors
from lbproto_compliance.sources import Attribution

__all__ = ["MAX_CLUSTERS", "alone", "find_kin", "find_self", "report_clusters"]

MAX_CLUSTERS = 50
"""Of others, in one analysis."""

_MAX_MEMBERS = 1_000  # whose payments are looked at for change

_SURE = Fraction(1)


def alone(address: str, said: Sequence[Attribution], weights: Weights) -> ClusterReport:
    """An address that is on lists, and in no transaction."""
    who = worst(said, weights)
    return ClusterReport(
        cluster_id=address,
        size=1,
        heuristics=[],
        confidence=1.0,
        label=who.label,
        category=who.category,
    )


def find_self(
    graph: Graph, seed: int | None, address: str, said: Sequence[Attribution], weights: Weights
) -> Iterator[Finding]:
    """What is said of the address itself, if that is harmful."""
    harmful = sorted(
        {each.category for each in said if weights.harmful(each.category)},
        key=lambda category: (-weights.points[category], category),
    )
    if harmful:
        # One of them: what is said twice of one address is no worse for that.
        about = [each for each in said if each.category == harmful[0]]
        tx = None if seed is None else witness(graph, seed)
        evidence = [Evidence(tx, address, source) for source in sorted(map(cited, about))]
        sure = max(map(confidence, about))
        yield Finding(harmful[0], "self", 0, _SURE, sure, evidence[:MAX_EVIDENCE])


def find_kin(case: Case, cluster: Cluster) -> Iterator[Finding]:
    """What is said of other addresses of the address's cluster, if that is harmful."""
    by_category: defaultdict[str, list[int]] = defaultdict(list)
    for node in cluster.members.tolist():
        if node != case.seed and case.is_harmful(node):
            by_category[case.identities[node].category].append(node)
    for category, kin in by_category.items():
        evidence = [
            Evidence(
                witness(case.graph, node),
                case.graph.address(node),
                cited(case.identities[node]),
            )
            for node in kin[:MAX_EVIDENCE]
        ]
        sure = max(confidence(case.identities[node]) for node in kin)
        ownership = Fraction(str(cluster.confidence))
        yield Finding(category, "self", 0, _SURE, sure, evidence, ownership=ownership)


def report_clusters(
    case: Case, named: Collection[int], hubs: Collection[int]
) -> list[ClusterReport]:
    """The clusters that an analyst is shown: the address's own first.

    Args:
        case: the address.
        named: attributed nodes that signals are about.
        hubs: nodes that money was not followed through.
    """
    graph, identities = case.graph, case.identities
    own = graph.cluster(case.seed)
    reports = [_report(own, _speaks_for(own, case)), *_with_change(graph, own), *_customer(case)]
    shown = {own.id}
    for node in [*sorted(named), *sorted(hubs)][:MAX_CLUSTERS]:
        cluster = graph.cluster(node)
        if cluster.id not in shown:
            shown.add(cluster.id)
            reports.append(_report(cluster, identities.get(node), guess="possible_service"))
    return reports


def _report(
    cluster: Cluster, who: Attribution | None, *, guess: str | None = None
) -> ClusterReport:
    return ClusterReport(
        cluster_id=cluster.id,
        size=cluster.size,
        heuristics=list(cluster.heuristics),
        confidence=cluster.confidence,
        label=who.label if who else None,
        category=who.category if who else guess,
    )


def _speaks_for(cluster: Cluster, case: Case) -> Attribution | None:
    """Who the owner is said to be: what is said of the address itself, else the surest."""
    identities = case.identities
    if case.seed in identities:
        return identities[case.seed]
    said = (identities[node] for node in cluster.members.tolist() if node in identities)
    return min(said, key=lambda who: (-who.confidence, who.label, who.category), default=None)


def _with_change(graph: Graph, cluster: Cluster) -> Iterator[ClusterReport]:
    """The cluster and where its change likely goes: told, and joined with nothing."""
    members = cluster.members[:_MAX_MEMBERS].tolist()
    txs = np.concatenate([graph.outgoing(node).txs for node in members])
    changes = graph.changes[txs]
    changes = np.setdiff1d(changes[changes >= 0], cluster.members)
    if len(changes):
        yield ClusterReport(
            cluster_id=f"{cluster.id}+change",
            size=cluster.size + len(changes),
            heuristics=[*cluster.heuristics, "change_output"],
            confidence=CONFIDENCE["change_output"],
        )


def _customer(case: Case) -> Iterator[ClusterReport]:
    """Those who share an exchange's deposit addresses with the address."""
    exchanges = [node for node, who in case.identities.items() if who.category == "exchange"]
    if case.chain.kind == "accounts" and exchanges:
        # A hundredth of a whole coin has paid for a transfer at all times.
        fee = float(10 ** (case.chain.decimals - 2))
        rules = Forwarding(asset=case.chain.asset, most_fee=fee)
        customer = depositors(case.graph, case.seed, exchanges, rules)
        if customer.size > 1:
            yield _report(customer, None)
