"""What an address received and paid, of each asset: what shares are shares of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lbproto_compliance.analysis.report import Direction
from lbproto_compliance.chains import Chain
from lbproto_compliance.graph import Edges, Graph
from lbproto_compliance.prices import Prices, worth

__all__ = [
    "Amounts",
    "Received",
    "Valuer",
    "by_asset",
    "distinct",
    "largest_share",
    "others",
    "totals",
]

Amounts: TypeAlias = Mapping[int, int]
"""Base units by asset."""

Received: TypeAlias = tuple[int, int]
"""A transaction and an asset: all that it brings the address of that."""


class Valuer(NamedTuple):
    """Puts a value on payments of one graph."""

    graph: Graph
    chain: Chain
    prices: Prices

    def usd(self, paid: Mapping[Received, int]) -> float | None:
        """What amounts were worth when they were paid; None unless that is known of all."""
        total = 0.0
        for (tx, asset), amount in paid.items():
            at = datetime.fromtimestamp(self.graph.tx_time(tx), UTC)
            name = self.graph.asset_names[asset]
            value = worth(self.prices, self.chain, name, Decimal(amount), at)
            if value is None:
                return None
            total += value
        return round(total, 2)


def others(edges: Edges, direction: Direction) -> NDArray[np.int32]:
    """Who an address dealt with, by payment."""
    return edges.sources if direction == "incoming" else edges.targets


def distinct(graph: Graph, nodes: NDArray[np.int32]) -> NDArray[np.int32]:
    """Each node once, ascending."""
    if len(nodes) < graph.nodes // 32:
        return np.unique(nodes)
    # What a hub deals with is a good part of all: to mark it is much faster than to look for it.
    there = np.zeros(graph.nodes, np.bool_)
    there[nodes] = True
    return np.flatnonzero(there).astype(np.int32)


def totals(edges: Edges) -> dict[int, int]:
    """The sums of one address's payments by asset; payments to itself do not count."""
    counts = edges.sources != edges.targets
    amounts = np.rint(edges.amounts)
    sums: dict[int, int] = {}
    for asset in np.flatnonzero(np.bincount(edges.assets[counts])).tolist():
        of_asset = amounts[counts & (edges.assets == asset)]
        # More than 2**53 units are not exact in floating point: those are added one by one.
        about = float(of_asset.sum())
        sums[asset] = int(about) if about < 2**52 else sum(map(int, of_asset.tolist()))
    return sums


def by_asset(received: Mapping[Received, int]) -> dict[int, int]:
    """The sums over transactions."""
    sums: defaultdict[int, int] = defaultdict(int)
    for (_, asset), amount in received.items():
        sums[asset] += amount
    return sums


def largest_share(parts: Amounts, wholes: Amounts) -> Fraction:
    """Of several assets, the share in the one where it is the largest.

    Without prices for all, amounts of different assets do not add up. A share of all of them
    could be made small by as many payments of something worthless.
    """
    return max(
        (min(Fraction(part, wholes[asset]), Fraction(1)) for asset, part in parts.items() if part),
        default=Fraction(0),
    )
