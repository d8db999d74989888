"""Payments, in columns."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lbproto_compliance.graph.arrays import Floats, Int32s

__all__ = ["Edges", "Outputs"]


class Edges(NamedTuple):
    """Payments, a row each.

    Attributes:
        sources: (e,) nodes that pay.
        targets: (e,) nodes that are paid.
        txs: (e,) by which transaction; the smaller is the earlier.
        amounts: (e,) in base units, about.
        assets: (e,) positions in the graph's `asset_names`.
    """

    sources: Int32s
    targets: Int32s
    txs: Int32s
    amounts: Floats
    assets: NDArray[np.int16]

    def chosen(self, mask: NDArray[np.bool_]) -> Edges:
        """Some of them: (e,) which."""
        return Edges._make(column[mask] for column in self)


class Outputs(NamedTuple):
    """What one transaction pays to addresses, in its order.

    Attributes:
        nodes: (o,) who is paid.
        amounts: (o,) in base units.
    """

    nodes: Int32s
    amounts: Floats
