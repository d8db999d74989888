"""A graph of payments that nobody made: seeded, with degrees that follow a power law."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Payments", "load", "make"]

_SEED = 8
_EXPONENT = 0.7  # of an address's weight by rank: degrees have the exponent 1 + 1 / 0.7 = 2.4
_QUERIES = 200


class Payments(NamedTuple):
    """Each is a transaction of its own, in their order.

    Attributes:
        addresses: (n,) of `S42`, sorted.
        sources: (e,) who pays: positions among addresses.
        targets: (e,) who is paid.
        amounts: (e,) in base units.
        degrees: (n,) payments that an address takes part in.
        seeds: (q,) where walks begin: addresses that take part in any.
    """

    addresses: NDArray[np.bytes_]
    sources: NDArray[np.int32]
    targets: NDArray[np.int32]
    amounts: NDArray[np.float64]
    degrees: NDArray[np.int64]
    seeds: NDArray[np.int64]


def make(directory: Path, nodes: int, edges: int, hub: int) -> None:
    """Write payments to a directory.

    Args:
        hub: payments of one more address; walks begin at its customers then.
    """
    chance = np.random.default_rng(_SEED)
    weights = np.cumsum(np.arange(1, nodes + 1) ** -_EXPONENT)
    weights /= weights[-1]

    def ends() -> NDArray[np.int32]:
        ranks = np.searchsorted(weights, chance.random(edges - hub))
        return chance.permutation(nodes).astype(np.int32)[ranks]

    of_hub = np.full(hub // 2, nodes, np.int32)
    customers = [chance.integers(0, nodes, hub // 2, np.int32) for _ in range(2)]
    order = chance.permutation(edges)
    sources = np.concatenate((ends(), of_hub, customers[0]))[order]
    targets = np.concatenate((ends(), customers[1], of_hub))[order]
    count = nodes + bool(hub)
    degrees = np.bincount(sources, minlength=count) + np.bincount(targets, minlength=count)
    degrees -= np.bincount(sources[sources == targets], minlength=count)
    among = np.unique(customers[0]) if hub else np.flatnonzero(degrees)
    made = Payments(
        np.array([b"0x%040x" % node for node in range(count)]),
        sources,
        targets,
        chance.lognormal(40, 3, edges),
        degrees,
        chance.choice(among, _QUERIES),
    )
    for name, column in made._asdict().items():
        np.save(directory / f"{name}.npy", column)


def load(directory: Path) -> Payments:
    """Map what `make` wrote."""
    return Payments._make(
        np.load(directory / f"{name}.npy", mmap_mode="r") for name in Payments._fields
    )
