"""A graph that was built: who it holds, and who pays whom."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from lbproto_compliance.graph.arrays import Arrays, Int32s, Int64s, map_arrays
from lbproto_compliance.graph.building import FORMAT, Header, arrays_of
from lbproto_compliance.graph.clusters import Cluster, cluster_of
from lbproto_compliance.graph.edges import Edges, Outputs
from lbproto_compliance.graph.flows import Flows

__all__ = ["Graph"]


class Graph:
    """The payments between addresses, in mapped files: for any number of threads at a time.

    Args:
        arrays: the columns.
        asset_names: what edges' assets are positions in.
    """

    def __init__(self, arrays: Arrays, asset_names: tuple[str, ...]) -> None:
        self.arrays = arrays
        self.asset_names = asset_names
        self.marks: list[NDArray[np.bool_]] = []
        """For walks: (nodes,) each, all True. A walk takes one, or makes it, and gives it back."""

    @classmethod
    def open(cls, directory: Path) -> Graph:
        """Map the files that `build` wrote.

        Raises:
            OSError: there are none, or one is missing.
            ValueError: a file is cut off, or all are of another format.
        """
        header = msgspec.json.decode((directory / "graph.json").read_bytes(), type=Header)
        if header.format != FORMAT:
            raise ValueError(f"{directory} has format {header.format}, this version reads {FORMAT}")
        return cls(map_arrays(directory), header.asset_names)

    @classmethod
    def of(cls, flows: Flows) -> Graph:
        """The same without files: for data that are few.

        Raises:
            ValueError: see `build`.
        """
        return cls(arrays_of(flows), flows.asset_names)

    @property
    def nodes(self) -> int:
        """How many addresses there are: nodes are the numbers below."""
        return len(self.arrays.addresses)

    @property
    def edges(self) -> int:
        """How many payments."""
        return len(self.arrays.targets)

    @property
    def degrees(self) -> Int32s:
        """(nodes,) how many transactions each takes part in."""
        return self.arrays.degrees

    @property
    def tx_times(self) -> Int64s:
        """(transactions,) when each was, Unix time in seconds."""
        return self.arrays.tx_times

    @property
    def coinjoins(self) -> NDArray[np.bool_]:
        """(transactions,) whether it mixes the coins of several owners."""
        return self.arrays.coinjoins

    @property
    def changes(self) -> Int32s:
        """(transactions,) the node that likely gets the change; -1 where none is told."""
        return self.arrays.changes

    @property
    def cluster_roots(self) -> Int32s:
        """(nodes,) the smallest node of each one's cluster."""
        return self.arrays.cluster_roots

    def node(self, address: str) -> int | None:
        """Where an address is; None where it is not held.

        Args:
            address: in its canonical form.
        """
        addresses = self.arrays.addresses
        wanted = address.encode("utf-8", "surrogatepass")
        # A longer one would make NumPy copy all of them; one that ends in NUL is not told apart.
        if not wanted or len(wanted) > addresses.itemsize or wanted.endswith(b"\0"):
            return None
        at = int(np.searchsorted(addresses, np.array(wanted, addresses.dtype)))
        return at if at < len(addresses) and addresses[at] == wanted else None

    def address(self, node: int) -> str:
        """The canonical form of a node's address."""
        return str(self.arrays.addresses[node], "ascii")

    def degree(self, node: int) -> int:
        """How many transactions a node takes part in."""
        return int(self.arrays.degrees[node])

    def outgoing(self, node: int) -> Edges:
        """What a node pays, the earliest first."""
        begin, end = self.arrays.out_offsets[node : node + 2].tolist()
        edges = np.arange(begin, end)
        return self.edges_at(edges, np.full(len(edges), node, np.int32), self.arrays.targets[edges])

    def incoming(self, node: int) -> Edges:
        """What a node is paid, the earliest first."""
        begin, end = self.arrays.in_offsets[node : node + 2].tolist()
        edges = self.arrays.in_edges[begin:end].astype(np.int64)
        sources = self.arrays.in_sources[begin:end]
        return self.edges_at(edges, sources, np.full(len(edges), node, np.int32))

    def edges_at(self, edges: Int64s, sources: Int32s, targets: Int32s) -> Edges:
        """Some payments in all their columns.

        Args:
            edges: (k,) which.
            sources: (k,) who pays them.
            targets: (k,) who is paid.
        """
        arrays = self.arrays
        return Edges(
            sources, targets, arrays.txs[edges], arrays.amounts[edges], arrays.assets[edges]
        )

    def first_tx(self, node: int) -> int | None:
        """The earliest transaction that a node takes part in; None where it is in none."""
        first = int(self.arrays.first_txs[node])
        return None if first < 0 else first

    def tx_hash(self, tx: int) -> str:
        """The hash of a transaction."""
        return str(self.arrays.tx_hashes[tx], "ascii")

    def tx_time(self, tx: int) -> int:
        """When a transaction was, Unix time in seconds."""
        return int(self.arrays.tx_times[tx])

    def inputs(self, tx: int) -> Int32s:
        """The addresses among a transaction's inputs; none on a chain of accounts."""
        begin, end = self.arrays.input_offsets[tx : tx + 2].tolist()
        return self.arrays.input_nodes[begin:end]

    def outputs(self, tx: int) -> Outputs:
        """What a transaction pays to addresses; nothing on a chain of accounts."""
        begin, end = self.arrays.output_offsets[tx : tx + 2].tolist()
        return Outputs(self.arrays.output_nodes[begin:end], self.arrays.output_amounts[begin:end])

    def cluster(self, node: int) -> Cluster:
        """The addresses that share a node's owner, by their common inputs."""
        arrays = self.arrays
        root = int(arrays.cluster_roots[node])
        begin, end = arrays.cluster_offsets[root : root + 2].tolist()
        used = ("common_input_ownership", "change_output")
        return cluster_of(
            self.address(root),
            arrays.cluster_members[begin:end],
            *used[: 2 if arrays.cluster_by_change[root] else 1],
        )
