"""From payments to files: sorted both ways, clustered, and there all at once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from lbproto_compliance.graph.arrays import Arrays, Int32s
from lbproto_compliance.graph.change import find_changes
from lbproto_compliance.graph.clusters import join, joined_inputs
from lbproto_compliance.graph.coinjoin import find_coinjoins
from lbproto_compliance.graph.flows import Flows

__all__ = ["FORMAT", "Header", "arrays_of", "build"]

FORMAT = 1
"""Grows when files that were built before can no longer be read."""

_MAX_ROWS = 2**31 - 1  # rows of a column: positions have 32 bits


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a graph has beside its arrays, as `graph.json`.

    Attributes:
        format: the `FORMAT` it was built in.
        asset_names: what edges' assets are positions in.
    """

    format: int = FORMAT
    asset_names: tuple[str, ...]


def build(directory: Path, flows: Flows, *, join_change: bool = False) -> None:
    """Build a graph's files, unless they are there.

    They are written beside and renamed, so that the directory appears whole or not at all. Several
    may build the same at a time: the first one's stays.

    Args:
        directory: where; its parent is made where it is missing.
        flows: the payments of one snapshot.
        join_change: whether likely change joins clusters, which makes them less sure.

    Raises:
        OSError: the disk is full, or nothing may be written there.
        ValueError: positions are out of range; columns are not of one length, not in their order,
            or longer than 32 bits can tell.
    """
    if directory.exists():
        return
    arrays = arrays_of(flows, join_change=join_change)
    with _appearing(directory) as place:
        for name, array in arrays._asdict().items():
            with _kept(place / f"{name}.npy") as file:
                np.save(file, array, allow_pickle=False)
        with _kept(place / "graph.json") as file:
            file.write(msgspec.json.encode(Header(asset_names=flows.asset_names)))


@contextmanager
def _appearing(directory: Path) -> Iterator[Path]:
    """A directory to write to, that gets its name when the body has ended well."""
    place = directory.with_name(f".{directory.name}-{token_hex(8)}")
    place.mkdir(parents=True)
    try:
        yield place
        try:
            place.rename(directory)
        except OSError:
            if not directory.exists():  # else another was faster, with the same
                raise
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def _kept(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, that is on the disk when the body has ended."""
    with path.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _check(flows: Flows) -> None:
    """Refuse what would be read out of bounds later.

    Raises:
        ValueError: see `build`.
    """
    nodes, txs = len(flows.addresses), len(flows.tx_hashes)
    groups: dict[str, tuple[tuple[NDArray[np.generic], int | None], ...]] = {
        "edges": (
            (flows.sources, nodes),
            (flows.targets, nodes),
            (flows.txs, txs),
            (flows.amounts, None),
            (flows.assets, len(flows.asset_names)),
        ),
        "inputs": ((flows.input_txs, txs), (flows.input_nodes, nodes)),
        "outputs": (
            (flows.output_txs, txs),
            (flows.output_nodes, nodes),
            (flows.output_amounts, None),
        ),
        "transactions": ((flows.tx_hashes, None), (flows.tx_times, None)),
    }
    for name, columns in groups.items():
        if len({len(column) for column, _ in columns}) > 1:
            raise ValueError(f"the columns of {name} are not of one length")
        if len(columns[0][0]) > _MAX_ROWS:
            raise ValueError(f"there are more than {_MAX_ROWS:,} {name}")
        for column, end in columns:
            if end is not None and len(column) and not 0 <= column.min() <= column.max() < end:
                raise ValueError(f"a position in a column of {name} is not below {end}")
    if np.any(flows.addresses[1:] <= flows.addresses[:-1]):
        raise ValueError("addresses are not sorted, or not distinct")
    for txs_of in (flows.input_txs, flows.output_txs):
        if np.any(txs_of[1:] < txs_of[:-1]):
            raise ValueError("inputs and outputs are not in the order of their transactions")


def arrays_of(flows: Flows, *, join_change: bool = False) -> Arrays:
    """The columns that `build` writes, in memory.

    Raises:
        ValueError: see `build`.
    """
    _check(flows)
    nodes, txs = len(flows.addresses), len(flows.tx_hashes)
    degrees, first_txs = _taking_part(flows)
    coinjoins = find_coinjoins(flows)
    changes = find_changes(flows, first_txs, coinjoins)
    by_time = _sorted_by(flows.txs)
    out = by_time[_sorted_by(flows.sources[by_time])]
    targets = flows.targets[out]
    edge_txs = flows.txs[out]
    by_time = _sorted_by(edge_txs)
    into = by_time[_sorted_by(targets[by_time])]
    roots, by_change = _clusters(flows, coinjoins, changes if join_change else None)
    return Arrays(
        addresses=flows.addresses,
        degrees=degrees,
        first_txs=first_txs,
        tx_hashes=flows.tx_hashes,
        tx_times=flows.tx_times,
        coinjoins=coinjoins,
        changes=changes,
        out_offsets=_offsets(flows.sources, nodes),
        targets=targets,
        txs=edge_txs,
        amounts=flows.amounts[out],
        assets=flows.assets[out],
        in_offsets=_offsets(flows.targets, nodes),
        in_sources=flows.sources[out][into],
        in_edges=into,
        input_offsets=_offsets(flows.input_txs, txs),
        input_nodes=flows.input_nodes,
        output_offsets=_offsets(flows.output_txs, txs),
        output_nodes=flows.output_nodes,
        output_amounts=flows.output_amounts,
        cluster_roots=roots,
        cluster_offsets=_offsets(roots, nodes),
        cluster_members=_sorted_by(roots),
        cluster_by_change=by_change,
    )


def _sorted_by(keys: Int32s) -> Int32s:
    """(k,) positions in the order of keys; equal ones stay in theirs.

    Key and position in one number are sorted several times as fast as by a stable `argsort`.
    """
    both = keys.astype(np.int64) << 32
    both |= np.arange(len(keys))
    both.sort()
    both &= 0xFFFFFFFF
    return both.astype(np.int32)


def _offsets(rows: Int32s, count: int) -> Int32s:
    """(count + 1,) where the rows of each begin, once they are sorted."""
    offsets = np.zeros(count + 1, np.int32)
    np.cumsum(np.bincount(rows, minlength=count), out=offsets[1:])
    return offsets


def _taking_part(flows: Flows) -> tuple[Int32s, Int32s]:
    """(n,) in how many transactions each node is, and the first of them or -1."""
    nodes = np.concatenate(
        (flows.sources, flows.targets, flows.input_nodes, flows.output_nodes), dtype=np.int64
    )
    nodes <<= 32
    nodes |= np.concatenate((flows.txs, flows.txs, flows.input_txs, flows.output_txs))
    nodes.sort()
    nodes = nodes[np.diff(nodes, prepend=-1) != 0]
    count = len(flows.addresses)
    offsets = _offsets((nodes >> 32).astype(np.int32), count)
    degrees = np.diff(offsets).astype(np.int32)
    first_txs = np.full(count, -1, np.int32)
    present = degrees > 0
    first_txs[present] = nodes[offsets[:-1][present]] & 0xFFFFFFFF
    return degrees, first_txs


def _clusters(
    flows: Flows, coinjoins: NDArray[np.bool_], changes: Int32s | None
) -> tuple[Int32s, NDArray[np.bool_]]:
    """Roots by common inputs; by likely change as well where changes are given."""
    count = len(flows.addresses)
    told = ~coinjoins[flows.input_txs]
    left, right = joined_inputs(flows.input_txs[told], flows.input_nodes[told])
    by_change = np.zeros(count, np.bool_)
    if changes is None:
        return join(count, left, right), by_change
    changed = flows.input_txs[changes[flows.input_txs] >= 0]
    payers = flows.input_nodes[changes[flows.input_txs] >= 0]
    roots = join(count, np.concatenate((left, payers)), np.concatenate((right, changes[changed])))
    by_change[roots[payers]] = True
    return roots, by_change
