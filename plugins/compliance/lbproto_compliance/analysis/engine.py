"""An analysis from end to end: resolve, expand, cluster, score.

Nothing here knows what time it is, nothing is drawn by lot, and no set decides an order: the same
snapshot, the same weights and the same prices give the same analysis.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from lbproto import InvalidRequest, NotFound
from lbproto_compliance.analysis.case import Case, Side
from lbproto_compliance.analysis.clustering import alone, find_kin, find_self, report_clusters
from lbproto_compliance.analysis.dusting import Dust, find_dust
from lbproto_compliance.analysis.exposures import Exposure, find_exposure
from lbproto_compliance.analysis.identities import Attributions, identify
from lbproto_compliance.analysis.patterns import find_coinjoin, find_hubs, find_mixing
from lbproto_compliance.analysis.peeling import find_peel_chain
from lbproto_compliance.analysis.report import (
    MAX_HOPS,
    Analysis,
    ClusterReport,
    Direction,
    Method,
    Stage,
)
from lbproto_compliance.analysis.score import risk_level, score
from lbproto_compliance.analysis.volumes import Valuer, distinct
from lbproto_compliance.analysis.weights import DEFAULT_WEIGHTS, Weights
from lbproto_compliance.chains import CHAINS
from lbproto_compliance.graph import LIMITS, Graph, Limits, Walk, expand
from lbproto_compliance.prices import NoPrices, Prices

__all__ = ["Step", "analyse"]

Step: TypeAlias = Callable[[Stage, float], None]
"""Told what is being done, and how much of all is, 0 to 100, never less than before.

It is called every few milliseconds, and may raise to end the analysis.
"""


def analyse(
    graph: Graph,
    attributions: Attributions,
    address: str,
    hops: int,
    *,
    chain: str,
    taint: Method = "haircut",
    prices: Prices = NoPrices(),  # noqa: B008 - it has no state
    weights: Weights = DEFAULT_WEIGHTS,
    limits: Limits = LIMITS,
    step: Step = lambda *_: None,
) -> Analysis:
    """Say what an address has to do with those of whom harm is said. Blocks: up to seconds.

    Args:
        graph: of the snapshot.
        attributions: of the snapshot.
        address: canonical.
        hops: how far to look, 1 to 5 payments.
        chain: a name in `CHAINS`.
        taint: how money is followed where it was mixed.
        prices: for amounts in US dollars; none by default. They are not part of the score.
        weights: what a signal adds to the score.
        limits: of the walk.
        step: see `Step`.

    Raises:
        InvalidRequest: the hops are out of range.
        NotFound: the data do not hold the address.
        Exception: what `step` raises.
    """
    if not 1 <= hops <= MAX_HOPS:
        raise InvalidRequest(f"hops are from 1 to {MAX_HOPS}, not {hops} - at `$.hops`")
    step("resolve", 0)
    seed = graph.node(address)
    said = attributions.get(address, ())
    if seed is None and not said:
        raise NotFound(f"the data do not hold {address}")
    findings = list(find_self(graph, seed, address, said, weights))

    def report(clusters: list[ClusterReport], *, truncated: bool) -> Analysis:
        total, signals = score(findings, weights)
        return Analysis(
            risk_score=total,
            risk_level=risk_level(total),
            clusters=clusters,
            signals=signals,
            truncated=truncated,
            taint=taint,
        )

    if seed is None:
        return report([alone(address, said, weights)], truncated=False)

    step("expand", 5)
    expansion = expand(graph, [seed], hops, limits=limits, step=_expanding(hops, step))
    step("cluster", 45)
    own = graph.cluster(seed)
    around = np.concatenate([own.members, *(walk.nodes for walk in expansion)])
    case = Case(
        graph,
        CHAINS[chain],
        seed,
        hops,
        Side.of("incoming", graph.incoming(seed)),
        Side.of("outgoing", graph.outgoing(seed)),
        identify(graph, distinct(graph, around), attributions, weights),
        weights,
        taint,
        Valuer(graph, CHAINS[chain], prices),
    )
    findings += find_kin(case, own)

    step("score", 50)
    dust = find_dust(case)
    findings += dust.findings
    exposures = [
        _expose(case, expansion.incoming, "incoming", dust, step, begin=55),
        _expose(case, expansion.outgoing, "outgoing", dust, step, begin=75),
    ]
    for exposure in exposures:
        findings += exposure.findings
    for pattern in (
        find_coinjoin(case),
        find_hubs(case, limits.hub_degree),
        find_mixing(case),
        find_peel_chain(graph, seed),
    ):
        step("score", 95)
        findings += pattern
    named = [node for exposure in exposures for node in exposure.attributed]
    hubs = [node for walk in expansion for node in walk.hubs.tolist()]
    step("score", 99)
    return report(
        report_clusters(case, named, hubs),
        truncated=expansion.truncated or any(exposure.cut for exposure in exposures),
    )


def _expanding(hops: int, step: Step) -> Callable[[int, int], None]:
    """Progress of a walk, 5 to 45; it goes both ways, so it begins at the first hop twice."""
    furthest = 1

    def told(hop: int, _edges: int) -> None:
        nonlocal furthest
        furthest = max(furthest, hop)
        step("expand", 5 + 40 * (furthest - 1) / hops)

    return told


def _expose(
    case: Case, walk: Walk, direction: Direction, dust: Dust, step: Step, *, begin: int
) -> Exposure:
    def told(done: float) -> None:
        step("score", begin + 20 * done)

    told(0)
    return find_exposure(case, walk, direction, dust=dust.received, step=told)
