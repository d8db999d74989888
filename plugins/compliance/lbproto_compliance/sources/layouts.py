"""Which layout a file has, by its columns; files of one import as sources."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from lbproto_compliance.chains import CHAINS, Chain
from lbproto_compliance.sources import blockchain_etl as etl
from lbproto_compliance.sources.batches import Source, SourceError
from lbproto_compliance.sources.files import EachRecord, FileSource
from lbproto_compliance.sources.recorded import (
    BLOCK_OF_COINS,
    LEDGER,
    BlockOfCoins,
    Ledger,
    Moment,
)
from lbproto_compliance.sources.records import RecordFile

__all__ = ["file_sources"]


def file_sources(chain: str, paths: Sequence[Path], moment: Moment | None = None) -> list[Source]:
    """Files of chain data as sources; blocks, since each is read once for its digest.

    Files of blocks and of receipts are not sources: they complete the others.

    Args:
        chain: a name of `CHAINS`.
        paths: files.
        moment: of what the two plain layouts need; None if it is not told.

    Raises:
        SourceError: a file is missing, has no layout that is known, or not of this chain's kind.
    """
    files = [RecordFile(path) for path in paths]
    if moment and moment.label and sum(file.columns == LEDGER for file in files) > 1:
        raise SourceError("a label names the rows of one file: leave it out, or import each alone")
    blocks = [file for file in files if _is_of_blocks(file)]
    receipts = [file for file in files if _is_of_receipts(file)]
    facts = etl.Facts(blocks, receipts)
    known = [*blocks, *receipts]
    sources = [_source(file, CHAINS[chain], facts, moment) for file in files if file not in known]
    if not sources:
        raise SourceError("blocks and receipts alone say nothing of payments: name transactions")
    return sources


def _source(file: RecordFile, chain: Chain, facts: etl.Facts, moment: Moment | None) -> Source:
    found: Source | None = None
    if chain.kind == "coins":
        found = _of_coins(file, moment)
    elif chain.eip155 is not None:  # as ethereum-etl writes addresses
        found = _of_accounts(file, chain, facts, moment)
    if found is None:
        columns = ", ".join(sorted(file.columns))
        raise SourceError(
            f"{file.path} has no layout that is known of {chain.name}: it has {columns:.500}"
        )
    return found


def _of_coins(file: RecordFile, moment: Moment | None) -> Source | None:
    if file.columns >= etl.BITCOIN_TRANSACTIONS:
        return FileSource(file, "coins", partial(EachRecord, etl.bitcoin_transaction))
    if file.columns >= BLOCK_OF_COINS:
        return FileSource(file, "coins", partial(BlockOfCoins, _told(file, moment)))
    return None


def _of_accounts(
    file: RecordFile, chain: Chain, facts: etl.Facts, moment: Moment | None
) -> Source | None:
    columns = file.columns
    if columns >= etl.TRACES:
        return FileSource(file, "transfers", lambda: EachRecord(etl.Traces(chain, facts).translate))
    if columns >= etl.TOKEN_TRANSFERS:
        translate = partial(etl.token_transfer, facts=facts)
        return FileSource(file, "transfers", partial(EachRecord, translate))
    if columns >= etl.TRANSACTIONS:
        translate = partial(etl.transaction, chain=chain, facts=facts)
        return FileSource(file, "transfers", partial(EachRecord, translate))
    if columns == LEDGER:
        return FileSource(
            file, "transfers", partial(Ledger, _told(file, moment), chain, file.digest)
        )
    return None


def _told(file: RecordFile, moment: Moment | None) -> Moment:
    if moment is None:
        raise SourceError(
            f"{file.path} does not say of which block it is: give --height and --time"
        )
    return moment


def _is_of_blocks(file: RecordFile) -> bool:
    return file.columns >= etl.BLOCKS and "block_number" not in file.columns


def _is_of_receipts(file: RecordFile) -> bool:
    return file.columns >= etl.RECEIPTS and "value" not in file.columns
