"""Transactions in which several owners mix their coins: their inputs are not one owner's.

They are told by their shape. A CoinJoin pays every participant the same amount, so that nobody can
tell whose is whose, and most participants some change. A transaction is taken for one when

1. at least `FEWEST` outputs to as many addresses have the same amount;
2. at least as many addresses are among its inputs: each participant brings one;
3. outputs whose amount is their own are at most one more than those that share theirs: a change
   for each participant, and the coordinator's fee;
4. that amount is not dust: protocols that mark coins send many outputs of a least amount.

This holds for JoinMarket as Goldfeder, Kalodner, Reisman and Narayanan tell it ("When the cookie
meets the blockchain", PoPETs 2018; `is_coinjoin` in Kalodner et al., "BlockSci", USENIX Security
2020), for Wasabi's (at least ten equal outputs) and Whirlpool's (five inputs, five equal outputs)
as Stütz et al. do ("Adoption and Actual Privacy of Decentralized CoinJoin Implementations in
Bitcoin", AFT 2022).

What is wrongly taken for one (an exchange pays the same to three customers from three of its
addresses) leaves a cluster smaller than it is; what is missed joins strangers. So it errs towards
the former. Two people's payment in one (PayJoin) has no shape to tell it by, and is missed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lbproto_compliance.graph.arrays import Int32s
from lbproto_compliance.graph.flows import Flows

__all__ = ["FEWEST", "MAX_DUST", "find_coinjoins"]

FEWEST = 3
"""Equal outputs: of two, one is as often by chance."""

MAX_DUST = 2_730
"""In satoshi: what Bitcoin Core once refused to relay less than, and other protocols' mark."""


def find_coinjoins(flows: Flows) -> NDArray[np.bool_]:
    """Which transactions look like CoinJoins.

    Returns:
        (t,) in the order of `flows.tx_hashes`; all False on chains of accounts.
    """
    transactions = len(flows.tx_hashes)
    payers = _distinct_inputs(flows, transactions)
    # An address that is paid the same amount twice is one participant, so it is one output.
    order = np.lexsort((flows.output_nodes, flows.output_amounts, flows.output_txs))
    txs, amounts = flows.output_txs[order], flows.output_amounts[order]
    nodes = flows.output_nodes[order]
    alike = _begins(txs, amounts)
    distinct = alike | _begins(nodes)
    txs, amounts, begins = txs[distinct], amounts[distinct], np.flatnonzero(alike[distinct])
    sizes = np.diff(begins, append=len(txs))
    group_txs, group_amounts = txs[begins], amounts[begins]

    shared = np.bincount(group_txs, np.where(sizes > 1, sizes, 0), transactions)
    outputs = np.bincount(txs, minlength=transactions)
    equal = np.zeros(transactions, np.int64)
    mixed = group_amounts > MAX_DUST
    np.maximum.at(equal, group_txs[mixed], sizes[mixed])
    found: NDArray[np.bool_] = (equal >= FEWEST) & (payers >= equal) & (2 * shared + 1 >= outputs)
    return found


def _distinct_inputs(flows: Flows, transactions: int) -> NDArray[np.intp]:
    """(t,) how many addresses are among the inputs of each."""
    order = np.lexsort((flows.input_nodes, flows.input_txs))
    txs, nodes = flows.input_txs[order], flows.input_nodes[order]
    return np.bincount(txs[_begins(txs, nodes)], minlength=transactions)


def _begins(*columns: Int32s | NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where a row of sorted columns is not the one before it."""
    begins = np.ones(len(columns[0]), np.bool_)
    begins[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return begins
