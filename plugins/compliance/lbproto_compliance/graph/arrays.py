"""The files of a graph: one for each column, mapped when they are read."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Arrays", "Floats", "Int32s", "Int64s", "map_arrays"]

Int32s: TypeAlias = NDArray[np.int32]
Int64s: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]


class Arrays(NamedTuple):
    """Each is the file `<name>.npy`; n nodes, e edges, t transactions, i inputs, o outputs.

    An edge is its position among those that are sorted by who pays, then by time. Offsets are one
    longer than what they are of: the rows of `x` are `offsets[x]` up to `offsets[x + 1]`.

    Attributes:
        addresses: (n,) of `S`, sorted.
        degrees: (n,) transactions that a node takes part in.
        first_txs: (n,) the earliest of them; -1 for none.
        tx_hashes: (t,) of `S`, in the chain's order.
        tx_times: (t,) Unix time in seconds.
        coinjoins: (t,) whether it mixes the coins of several owners.
        changes: (t,) which address likely gets the change; -1 where none is told.
        out_offsets: (n + 1,) of a node's payments.
        targets: (e,) who is paid.
        txs: (e,) by which transaction.
        amounts: (e,) in base units, about.
        assets: (e,) positions among the assets' names.
        in_offsets: (n + 1,) of the payments to a node.
        in_sources: (e,) who pays; sorted by who is paid, then by time.
        in_edges: (e,) which edge that is.
        input_offsets: (t + 1,) of a transaction's inputs.
        input_nodes: (i,) their addresses.
        output_offsets: (t + 1,) of a transaction's outputs.
        output_nodes: (o,) their addresses.
        output_amounts: (o,) in base units.
        cluster_roots: (n,) the smallest node of each one's cluster.
        cluster_offsets: (n + 1,) of the members of the cluster with that root.
        cluster_members: (n,) nodes, ascending within a cluster.
        cluster_by_change: (n,) for a root, whether a likely change joined any of its members.
    """

    addresses: NDArray[np.bytes_]
    degrees: Int32s
    first_txs: Int32s
    tx_hashes: NDArray[np.bytes_]
    tx_times: Int64s
    coinjoins: NDArray[np.bool_]
    changes: Int32s
    out_offsets: Int32s
    targets: Int32s
    txs: Int32s
    amounts: Floats
    assets: NDArray[np.int16]
    in_offsets: Int32s
    in_sources: Int32s
    in_edges: Int32s
    input_offsets: Int32s
    input_nodes: Int32s
    output_offsets: Int32s
    output_nodes: Int32s
    output_amounts: Floats
    cluster_roots: Int32s
    cluster_offsets: Int32s
    cluster_members: Int32s
    cluster_by_change: NDArray[np.bool_]


def map_arrays(directory: Path) -> Arrays:
    """Map every file, read-only.

    Raises:
        OSError: one is missing.
        ValueError: one is cut off, or is not an array.
    """
    return Arrays._make(_map(directory / f"{name}.npy") for name in Arrays._fields)


def _map(path: Path) -> NDArray[np.generic]:
    mapped: NDArray[np.generic] = np.load(path, mmap_mode="r", allow_pickle=False)
    return mapped.view(np.ndarray)  # `np.memmap` makes every slice slower, and adds nothing
