"""What is asked of an address that is in the graph, and what it is answered from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from lbproto_compliance.analysis.identities import is_service
from lbproto_compliance.analysis.report import Method
from lbproto_compliance.analysis.volumes import Valuer
from lbproto_compliance.analysis.weights import Weights
from lbproto_compliance.chains import Chain
from lbproto_compliance.graph import Graph
from lbproto_compliance.sources import Attribution

__all__ = ["Case"]


class Case(NamedTuple):
    """One address.

    Attributes:
        graph: who pays whom.
        chain: whose graph it is.
        seed: the address's node.
        hops: how many payments a way has at most.
        identities: who is who around it, and in its cluster.
        weights: say what is harmful.
        taint: how money is followed where it was mixed.
        valuer: for amounts in US dollars.
    """

    graph: Graph
    chain: Chain
    seed: int
    hops: int
    identities: Mapping[int, Attribution]
    weights: Weights
    taint: Method
    valuer: Valuer

    def is_harmful(self, node: int) -> bool:
        """Whether dealing with it is a signal."""
        who = self.identities.get(node)
        return who is not None and self.weights.harmful(who.category)

    @property
    def is_served(self) -> bool:
        """Whether the address is a harmless service's: its customers' money is not its own."""
        who = self.identities.get(self.seed)
        return who is not None and is_service(who) and not self.is_harmful(self.seed)
