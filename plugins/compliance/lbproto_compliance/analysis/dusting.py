"""Amounts that an address was sent unasked, which say nothing about it.

Somebody sends next to nothing to many addresses: to see which are spent together, to advertise, or
to make others look tainted (so it went with Tornado Cash in August 2022). Nobody can refuse to be
paid. What is recognised as such counts for nothing in any share.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lbproto_compliance.analysis.case import Case
from lbproto_compliance.analysis.report import MAX_EVIDENCE, Evidence
from lbproto_compliance.analysis.score import Finding
from lbproto_compliance.analysis.volumes import Received, by_asset, largest_share
from lbproto_compliance.chains import Chain
from lbproto_compliance.graph import Edges, Graph

__all__ = ["FEWEST_HOLDERS", "FEWEST_RECEIVERS", "Dust", "dust_limit", "find_dust"]

FEWEST_RECEIVERS = 20
"""Addresses that got next to nothing of the same sender: fewer are paid by somebody they know."""

FEWEST_HOLDERS = 1_000
"""Addresses that got as much of a token of the same sender.

What a token is worth is not known here. A gift goes to so many; loot is not divided among so many.
"""

_MAX_SENDERS = 200  # of one address, that are looked at
_MAX_TXS = 1_000  # of one sender: its newest


class Dust(NamedTuple):
    """What is dust of all that an address received.

    Attributes:
        received: how much, by transaction and asset.
        findings: one, if there is any.
    """

    received: Mapping[Received, int]
    findings: list[Finding]


class _Gift(NamedTuple):
    """What a transaction brings of one asset, and one of those who pay it."""

    tx: int
    asset: int
    amount: float
    sender: int


class _Spray(NamedTuple):
    """Payments of a sender that are alike: of one asset, from at least to at most so much."""

    sender: int
    asset: int
    least: float
    most: float


def dust_limit(chain: Chain) -> int:
    """What is next to nothing: a ten-thousandth of a whole coin, in base units."""
    return int(10 ** (chain.decimals - 4))


def find_dust(case: Case) -> Dust:
    """Look at all that an address was paid.

    Dust is what a sender paid of the chain's own asset, if that is at most `dust_limit` in all, and
    the sender paid as little to at least `FEWEST_RECEIVERS` addresses. Of a token it is what the
    address has never paid out, if the sender gave exactly as much to at least `FEWEST_HOLDERS`.
    """
    graph, chain = case.graph, case.chain
    gifts: defaultdict[_Spray, list[_Gift]] = defaultdict(list)
    for gift in _gifts(case.incoming.edges, _limits(case)):
        is_coin = graph.asset_names[gift.asset] == chain.asset
        least, most = (1, dust_limit(chain)) if is_coin else (gift.amount, gift.amount)
        gifts[_Spray(gift.sender, gift.asset, least, most)].append(gift)
    dust: dict[Received, int] = {}
    evidence: list[Evidence] = []
    for spray, given in islice(gifts.items(), _MAX_SENDERS):
        is_coin = graph.asset_names[spray.asset] == chain.asset
        if is_coin and sum(gift.amount for gift in given) > spray.most:
            continue  # many times next to nothing is something
        receivers = _receivers(graph, chain, spray)
        if receivers >= (FEWEST_RECEIVERS if is_coin else FEWEST_HOLDERS):
            about = f"sent as little to {receivers} addresses"
            for gift in given:
                dust[gift.tx, gift.asset] = int(gift.amount)
                evidence.append(Evidence(graph.tx_hash(gift.tx), graph.address(gift.sender), about))
    if not dust:
        return Dust({}, [])
    share = largest_share(by_asset(dust), case.incoming.totals)
    found = Finding("dusting", "incoming", 1, share, Fraction(1), evidence[:MAX_EVIDENCE])
    return Dust(dust, [found])


def _limits(case: Case) -> NDArray[np.float64]:
    """Of each asset, how much may be dust: of a token any amount, unless some was paid out."""
    names, coin = case.graph.asset_names, case.chain.asset
    limits = [dust_limit(case.chain) if name == coin else np.inf for name in names]
    paid_out = np.bincount(case.outgoing.edges.assets, minlength=len(names)) > 0
    return np.where(paid_out & np.isinf(limits), 0, limits)


def _gifts(incoming: Edges, limits: NDArray[np.float64]) -> Iterator[_Gift]:
    """What each transaction brings of each asset, if it is within the limits, in their order."""
    edges = incoming.chosen(incoming.sources != incoming.targets)
    if not len(edges.txs):
        return
    order = np.lexsort((edges.assets, edges.txs))
    txs, assets, sources = edges.txs[order], edges.assets[order], edges.sources[order]
    begins = np.flatnonzero(np.r_[True, (txs[1:] != txs[:-1]) | (assets[1:] != assets[:-1])])
    amounts = np.add.reduceat(np.rint(edges.amounts[order]), begins)
    small = (amounts > 0) & (amounts <= limits[assets[begins]])
    begins = begins[small]
    columns = (txs[begins], assets[begins], amounts[small], sources[begins])
    yield from map(_Gift, *(column.tolist() for column in columns))


def _receivers(graph: Graph, chain: Chain, spray: _Spray) -> int:
    edges = graph.outgoing(spray.sender)
    if chain.kind == "coins":
        # Not by edges: of several inputs, each pays only a share of an output.
        outputs = [graph.outputs(tx) for tx in np.unique(edges.txs)[-_MAX_TXS:].tolist()]
        targets = np.concatenate([each.nodes for each in outputs])
        amounts = np.concatenate([each.amounts for each in outputs])
    else:
        same = edges.assets == spray.asset
        targets, amounts = edges.targets[same], np.rint(edges.amounts[same])
    alike = (amounts >= spray.least) & (amounts <= spray.most)
    return len(np.unique(targets[alike & (targets != spray.sender)]))
