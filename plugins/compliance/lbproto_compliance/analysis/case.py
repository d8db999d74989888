"""What is asked of an address that is in the graph, and what it is answered from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lbproto_compliance.analysis.identities import is_service
from lbproto_compliance.analysis.report import Direction, Method
from lbproto_compliance.analysis.volumes import Amounts, Valuer, others, totals
from lbproto_compliance.analysis.weights import Weights
from lbproto_compliance.chains import Chain
from lbproto_compliance.graph import Edges, Graph
from lbproto_compliance.sources import Attribution

__all__ = ["Case", "Side"]


class Side(NamedTuple):
    """All that the address received, or all that it paid.

    Attributes:
        direction: `incoming` or `outgoing`.
        edges: payments.
        totals: their sums.
    """

    direction: Direction
    edges: Edges
    totals: Amounts

    @classmethod
    def of(cls, direction: Direction, edges: Edges) -> Side:
        """With the sums."""
        return cls(direction, edges, totals(edges))

    @property
    def parties(self) -> NDArray[np.int32]:
        """Who the address dealt with, by payment."""
        return others(self.edges, self.direction)


class Case(NamedTuple):
    """One address.

    Attributes:
        graph: who pays whom.
        chain: whose graph it is.
        seed: the address's node.
        hops: how many payments a way has at most.
        incoming: what it received.
        outgoing: what it paid.
        identities: who is who around it, and in its cluster.
        weights: say what is harmful.
        taint: how money is followed where it was mixed.
        valuer: for amounts in US dollars.
    """

    graph: Graph
    chain: Chain
    seed: int
    hops: int
    incoming: Side
    outgoing: Side
    identities: Mapping[int, Attribution]
    weights: Weights
    taint: Method
    valuer: Valuer

    def sides(self) -> Iterator[Side]:
        """Both."""
        yield self.incoming
        yield self.outgoing

    def is_harmful(self, node: int) -> bool:
        """Whether dealing with it is a signal."""
        who = self.identities.get(node)
        return who is not None and self.weights.harmful(who.category)

    @property
    def is_served(self) -> bool:
        """Whether the address is a harmless service's: its customers' money is not its own."""
        who = self.identities.get(self.seed)
        return who is not None and is_service(who) and not self.is_harmful(self.seed)
