"""How much of what an address received, or paid, is of or for whom harm is said of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from lbproto_compliance.analysis.case import Case
from lbproto_compliance.analysis.identities import cited, confidence, is_service
from lbproto_compliance.analysis.ledger import ledger
from lbproto_compliance.analysis.report import Direction, Evidence
from lbproto_compliance.analysis.score import Finding
from lbproto_compliance.analysis.taint import Arrival, Payment, trace
from lbproto_compliance.analysis.volumes import Amounts, Received, by_asset, largest_share
from lbproto_compliance.graph import Walk
from lbproto_compliance.sources import Attribution

__all__ = ["MAX_WAYS", "Exposure", "find_exposure"]

MAX_WAYS = 3
"""Of one signal's evidence: those that the most came by, each from another address."""


class Exposure(NamedTuple):
    """What was found in one direction.

    Attributes:
        findings: one for each category and distance.
        attributed: the nodes that they are about.
        cut: whether there was more to follow than may be.
    """

    findings: list[Finding]
    attributed: frozenset[int]
    cut: bool


def find_exposure(
    case: Case,
    walk: Walk,
    direction: Direction,
    *,
    dust: Mapping[Received, int],
    step: Callable[[float], None],
) -> Exposure:
    """Follow the money of one direction.

    Args:
        case: whose exposure it is, and to whom.
        walk: from the address, in that direction.
        direction: `incoming` or `outgoing`.
        dust: what the address received unasked, and how much: it counts for nothing.
        step: called now and then with how much is done, 0 to 1; it may raise to end it.
    """
    graph, seed, identities = case.graph, case.seed, case.identities
    services = (node for node, who in identities.items() if is_service(who))
    routes = ledger(
        graph,
        walk,
        seed,
        case.hops,
        direction=direction,
        harmful={node for node in identities if node != seed and case.is_harmful(node)},
        closed={*walk.hubs.tolist(), *services},
        check=lambda: step(0),
    )
    if not routes.ends:
        return Exposure([], frozenset(), cut=False)
    payments = [p for p in routes.payments if p.target != seed or (p.tx, p.asset) not in dust]
    here = frozenset({seed})
    incoming = direction == "incoming"
    arrivals = trace(
        payments,
        sources=routes.ends if incoming else here,
        followed=routes.followed,
        targets=here if incoming else routes.ends,
        hops=case.hops,
        method=case.taint,
        step=step,
    )
    groups: defaultdict[tuple[str, int], _Group] = defaultdict(lambda: _Group(payments))
    for arrival in arrivals:
        whom = arrival.origin if incoming else arrival.target
        groups[identities[whom].category, arrival.hops].add(whom, arrival)
    wholes = _less(case.incoming.totals, dust) if incoming else case.outgoing.totals
    findings = [
        Finding(
            category,
            direction,
            hops,
            largest_share(by_asset(group.paid()), wholes),
            group.confidence(identities),
            _evidence(case, payments, group, direction),
            case.valuer.usd(group.paid()),
            served=case.is_served,
        )
        for (category, hops), group in groups.items()
    ]
    attributed = frozenset(whom for group in groups.values() for whom in group.ways)
    return Exposure(findings, attributed, routes.cut)


def _less(amounts: Amounts, dust: Mapping[Received, int]) -> dict[int, int]:
    of_dust = by_asset(dust)
    return {asset: amount - of_dust.get(asset, 0) for asset, amount in amounts.items()}


class _Group:
    """All arrivals of one signal.

    Attributes:
        ways: by attributed node, the way that the most came by.
    """

    def __init__(self, payments: Sequence[Payment]) -> None:
        self.ways: dict[int, Arrival] = {}
        self._payments = payments
        self._amounts: dict[int, int] = {}  # by the payment that brought them
        self._shares: defaultdict[int, dict[int, int]] = defaultdict(dict)  # by asset, and of whom

    def add(self, whom: int, arrival: Arrival) -> None:
        last = arrival.path[-1]
        # No more than was paid: poison says of each of several origins that all of it is theirs.
        so_far = self._amounts.get(last, 0)
        self._amounts[last] = min(so_far + arrival.amount, self._payments[last].amount)
        of_asset = self._shares[arrival.asset]
        of_asset[whom] = of_asset.get(whom, 0) + arrival.amount
        best = self.ways.get(whom)
        if best is None or arrival.amount > best.amount:
            self.ways[whom] = arrival

    def confidence(self, identities: Mapping[int, Attribution]) -> Fraction:
        """How sure it is whose the money was: the mean, by how much each brought.

        So what a doubtful list says of most of it is not as sure as what another says of a little.
        Of several assets it is the one that is the surest.
        """
        return max(
            sum(confidence(identities[whom]) * amount for whom, amount in of_asset.items())
            / Fraction(sum(of_asset.values()))
            for of_asset in self._shares.values()
        )

    def paid(self) -> dict[Received, int]:
        """What arrived, by transaction and asset."""
        sums: defaultdict[Received, int] = defaultdict(int)
        for position, amount in self._amounts.items():
            payment = self._payments[position]
            sums[payment.tx, payment.asset] += amount
        return sums


def _evidence(
    case: Case, payments: Sequence[Payment], group: _Group, direction: Direction
) -> list[Evidence]:
    """Each way from the attributed address to the seed, payment by payment.

    A payment is named by whichever of its two addresses is further from the seed.
    """
    evidence: list[Evidence] = []
    ways = sorted(group.ways.items(), key=lambda way: (-way[1].amount, way[0]))
    for whom, arrival in ways[:MAX_WAYS]:
        source = cited(case.identities[whom])
        for position in arrival.path if direction == "incoming" else reversed(arrival.path):
            payment = payments[position]
            node = payment.source if direction == "incoming" else payment.target
            evidence.append(
                Evidence(case.graph.tx_hash(payment.tx), case.graph.address(node), source)
            )
            source = "passed on in the chain"
    return evidence
