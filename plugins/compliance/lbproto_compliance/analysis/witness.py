"""A transaction to find an address by, for what is said of the address and not of a payment."""

from __future__ import annotations

import numpy as np

from lbproto_compliance.graph import Graph

__all__ = ["witness"]

_MAX_TXS = 1_000  # that are looked at


def witness(graph: Graph, node: int) -> str | None:
    """The hash of one that the node signed with others, else of its first; None without any."""
    paid = np.unique(graph.outgoing(node).txs[:_MAX_TXS]).tolist()
    joins = (tx for tx in paid if len(graph.inputs(tx)) > 1 and not graph.coinjoins[tx])
    tx = next(joins, graph.first_tx(node))
    return None if tx is None else graph.tx_hash(tx)
