"""Which output of a transaction is likely the payer's own change. A guess: it joins nothing.

The rule is the second heuristic of Meiklejohn et al., "A Fistful of Bitcoins" (IMC 2013): of at
least two addresses that are paid, exactly one is new, and is not paid again; none is among the
inputs; and the transaction is neither a coinbase nor a CoinJoin. "New" is as far as the snapshot
reaches: in one of few blocks nearly every address is, so few changes are told.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lbproto_compliance.graph.arrays import Int32s
from lbproto_compliance.graph.flows import Flows

__all__ = ["find_changes"]


def find_changes(flows: Flows, first_txs: Int32s, coinjoins: NDArray[np.bool_]) -> Int32s:
    """The likely change of every transaction.

    Args:
        first_txs: (n,) the earliest transaction that each address takes part in.
        coinjoins: (t,) transactions that are left out.

    Returns:
        (t,) the address it goes to; -1 where none is told.
    """
    count = len(flows.tx_hashes)
    txs, nodes, paid = _distinct(flows.output_txs, flows.output_nodes, len(flows.addresses))
    _, _, spent = _distinct(flows.input_txs, flows.input_nodes, len(flows.addresses))
    times_paid = np.bincount(flows.output_nodes, minlength=len(flows.addresses))
    new = (first_txs[nodes] == txs) & (times_paid[nodes] == 1)
    to_itself = np.zeros(count, np.bool_)
    to_itself[txs[np.isin(paid, spent)]] = True

    told = (
        (np.bincount(txs, minlength=count) >= 2)
        & (np.bincount(txs[new], minlength=count) == 1)
        & (np.bincount(flows.input_txs, minlength=count) > 0)
        & ~to_itself
        & ~coinjoins
    )
    changes = np.full(count, -1, np.int32)
    changes[txs[new]] = nodes[new]
    changes[~told] = -1
    return changes


def _distinct(txs: Int32s, nodes: Int32s, count: int) -> tuple[Int32s, Int32s, NDArray[np.int64]]:
    """Each address once for each transaction, and a number for the two."""
    pairs = np.unique(txs.astype(np.int64) * count + nodes)
    each_tx, each_node = np.divmod(pairs, max(count, 1))
    return each_tx.astype(np.int32), each_node.astype(np.int32), pairs
