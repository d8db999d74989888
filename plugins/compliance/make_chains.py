"""Makes the store that comes with the package, by the package's own import, from recorded files.

    python make_chains.py BLOCK.csv.gz TRANSFERS.csv

`lbproto_compliance/data/README.md` says what they are, and who says what of whom.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import AsyncGenerator
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio

from lbproto_compliance.importing import Progress, import_sources
from lbproto_compliance.sources import Attribution, Batch, Table
from lbproto_compliance.sources.layouts import file_sources
from lbproto_compliance.sources.recorded import Moment
from lbproto_compliance.store import Store

_INTO = Path(__file__).parent / "lbproto_compliance" / "data"

_POOLS = (
    "Blockchain-Known-Pools",
    "https://github.com/blockchain/Blockchain-Known-Pools/blob/c5e1fc1702584aee9ffa7d1ac50a1f7d69f7a500/pools.json",
)
_WALLETS = (
    "WalletExplorer Tag Pack (GraphSense Core Team)",
    "https://github.com/graphsense/graphsense-tagpacks/blob/29ff93c8ab0db37370453a290b7becba429b73f8/packs/walletexplorer.yaml",
)
_EIP = ("EIP-779", "https://eips.ethereum.org/EIPS/eip-779")
_BLOG = (
    "Ethereum Foundation blog",
    "https://blog.ethereum.org/2016/06/17/critical-update-re-dao-vulnerability",
)

_CHAINS = {
    "bitcoin": (
        Moment(481_824, datetime(2017, 8, 24, 1, 57, 37, tzinfo=UTC), "block"),
        [
            Attribution(
                "152f1muMCNa7goXYhYAQC61hxEgGacmncB",
                *("BTCC Pool", "mining_pool", *_POOLS, date(2015, 6, 9), 0.9, None, "btccpool"),
            ),
            Attribution(
                "1F1xcRt8H8Wa623KqmkEontwAAVqDSAWCV",
                *("1Hash", "mining_pool", *_POOLS, date(2016, 3, 4), 0.9, None, "1hash"),
            ),
            Attribution(
                "337RfngTLRTpU7RT9sKWQWDdmfcdmWnugi",
                *("Xapo.com", "exchange", *_WALLETS, date(2021, 11, 11), 0.5, "US", "xapo"),
            ),
        ],
    ),
    "ethereum": (
        Moment(1_920_000, datetime(2016, 7, 20, 13, 20, 40, tzinfo=UTC), "dao-fork"),
        [
            Attribution(
                "0xbf4ed7b27f1d666546e30d74d50d173d20bca754",
                *("The DAO: WithdrawDAO", "defi", *_EIP, date(2017, 11, 26), 1.0, None, "the_dao"),
            ),
            Attribution(
                "0xbb9bc244d798123fde783fcc1c72d3bb8c189413",
                *("The DAO", "defi", *_EIP, date(2017, 11, 26), 1.0, None, "the_dao"),
            ),
            Attribution(
                "0x807640a13483f8ac783c557fcdf27be11ea4ac7a",
                *("The DAO: extraBalance", "defi", *_EIP, date(2017, 11, 26), 1.0, None, "the_dao"),
            ),
            Attribution(
                "0x304a554a310c7e546dfe434669c62820b7d83490",
                "DarkDAO: the child that The DAO's ether was drained into",
                *("stolen_funds", *_BLOG, date(2016, 6, 17), 1.0, None, None),
            ),
        ],
    ),
}


class _Said:
    """The attributions above, as a source."""

    table: Table = "attributions"
    name = "said"

    def __init__(self, rows: list[Attribution]) -> None:
        self._rows = rows

    async def batches(self, checkpoint: str | None) -> AsyncGenerator[Batch, None]:  # noqa: ARG002 - the port's
        yield Batch(list(self._rows), [], "end", 1.0)


def _tell(_progress: Progress) -> None:
    """It takes a second."""


async def _make(files: dict[str, Path], into: Path) -> None:
    for name, (moment, said) in _CHAINS.items():
        chain = Store(into).chain(name)
        sources = [*file_sources(name, [files[name]], moment), _Said(said)]
        await import_sources(chain, sources, _tell)
        for directory in (chain.layout.importing, chain.layout.graphs):  # made when it is used
            shutil.rmtree(directory)


def main() -> None:
    """Put a new store in the place of the one that is there."""
    files = dict(zip(_CHAINS, map(Path, sys.argv[1:]), strict=True))
    with TemporaryDirectory() as directory:
        anyio.run(_make, files, Path(directory))
        for name in _CHAINS:
            shutil.rmtree(_INTO / name, ignore_errors=True)
            shutil.copytree(Path(directory) / name, _INTO / name)


if __name__ == "__main__":
    main()
