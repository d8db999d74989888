"""The chain data that come with this package."""

from __future__ import annotations

import shutil
import weakref
from pathlib import Path
from tempfile import mkdtemp

from lbproto import Plugin
from lbproto_compliance.plugin import compliance
from lbproto_compliance.prices import StaticPrices
from lbproto_compliance.store import Store

__all__ = ["bundled", "bundled_store"]

_DATA = Path(__file__).parent / "data"


def bundled() -> Plugin:
    """Analyses of the data that come with this package, for trying out."""
    return compliance(
        bundled_store(),
        prices=StaticPrices.of_csv(_DATA / "prices.csv"),
        description="Bitcoin's block 481824 and Ethereum's DAO fork, as they were recorded",
    )


def bundled_store() -> Store:
    """Bitcoin's block 481824, and the transfers of Ethereum's DAO fork.

    It is a copy, which a graph can be built beside, in a directory that goes when the store does.
    """
    directory = mkdtemp(prefix="lbproto-compliance-")
    shutil.copytree(_DATA, directory, dirs_exist_ok=True)
    store = Store(directory)
    weakref.finalize(store, shutil.rmtree, directory, ignore_errors=True)
    return store
