"""Who is who among the nodes, and what of the several things said of one address counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lbproto_compliance.analysis.weights import Weights
from lbproto_compliance.graph import Graph
from lbproto_compliance.sources import Attribution

__all__ = ["Attributions", "cited", "confidence", "identify", "is_service", "worst"]

Attributions: TypeAlias = Mapping[str, Sequence[Attribution]]
"""What is said of addresses, by canonical address."""

# Said of a person or of one holder, who has only money of their own: it is followed through them.
_OWN_MONEY = frozenset({"individual", "ransomware", "scam", "stolen_funds", "sanctioned"})


def identify(
    graph: Graph, nodes: NDArray[np.int32], attributions: Attributions, weights: Weights
) -> dict[int, Attribution]:
    """What counts of those nodes that something is said of."""
    if len(attributions) < len(nodes):
        among = np.zeros(graph.nodes, np.bool_)
        among[nodes] = True
        found = ((graph.node(address), said) for address, said in attributions.items())
        known = {node: said for node, said in found if node is not None and among[node]}
    else:
        known = {
            node: said for node in nodes.tolist() if (said := attributions.get(graph.address(node)))
        }
    return {node: worst(known[node], weights) for node in sorted(known)}


def worst(said: Sequence[Attribution], weights: Weights) -> Attribution:
    """The one that weighs most, then the surest, then by what it says: never by its place."""
    return min(
        said,
        key=lambda each: (
            -weights.points.get(each.category, 0),
            -each.confidence,
            each.category,
            each.label,
            each.source,
            each.source_url or "",
        ),
    )


def is_service(attribution: Attribution) -> bool:
    """Whether its money is its customers': what it pays is not what it was paid."""
    return attribution.category not in _OWN_MONEY


def confidence(attribution: Attribution) -> Fraction:
    """Exactly, in percent: what sources say is not more exact."""
    return Fraction(round(min(max(attribution.confidence, 0.0), 1.0) * 100), 100)


def cited(attribution: Attribution) -> str:
    """Who says it, since when, how sure that is, and where."""
    since = attribution.listed_on
    listed = f" ({since.isoformat()})" if since else ""
    sure = confidence(attribution)
    doubt = f" ({int(sure * 100)} % sure)" if sure < 1 else ""
    where = f", {attribution.source_url}" if attribution.source_url else ""
    return f"{attribution.source}{listed}: {attribution.label}{doubt}{where}"
