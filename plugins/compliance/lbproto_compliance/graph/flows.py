"""What a graph is built of: the payments of one snapshot in columns."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lbproto_compliance.graph.arrays import Floats, Int32s, Int64s

__all__ = ["Flows"]

_NONE = np.empty(0, np.int32)


class Flows(NamedTuple):
    """Payments; addresses and transactions are named by their positions.

    A payment of a chain of accounts is a transfer. On a chain of coins each input address of a
    transaction pays each output address a share: of the output, in proportion to the input, or
    equally where the inputs' values are not known. Transactions are in the order of the chain, so
    that a smaller position is an earlier one.

    Attributes:
        addresses: (n,) of `S`, sorted: canonical, ASCII.
        tx_hashes: (t,) of `S`, in the chain's order.
        tx_times: (t,) Unix time in seconds.
        sources: (e,) who pays.
        targets: (e,) who is paid.
        txs: (e,) by which transaction.
        amounts: (e,) in base units, about (floating point).
        assets: (e,) positions in `asset_names`.
        asset_names: symbols, or addresses of token contracts.
        input_txs: (i,) transactions, ascending, for each address among the inputs of each; empty on
            chains of accounts.
        input_nodes: (i,) those addresses.
        output_txs: (o,) the same for outputs, one row for each output, those that have no address
            left out.
        output_nodes: (o,) the outputs' addresses.
        output_amounts: (o,) the outputs' values, in base units.
    """

    addresses: NDArray[np.bytes_]
    tx_hashes: NDArray[np.bytes_]
    tx_times: Int64s
    sources: Int32s
    targets: Int32s
    txs: Int32s
    amounts: Floats
    assets: NDArray[np.int16]
    asset_names: tuple[str, ...]
    input_txs: Int32s = _NONE
    input_nodes: Int32s = _NONE
    output_txs: Int32s = _NONE
    output_nodes: Int32s = _NONE
    output_amounts: Floats = np.empty(0)
