"""What sources say, and importing hears: rows in batches, each with the place to go on from."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from datetime import date, datetime
from typing import Literal, NamedTuple, Protocol, TypeAlias

import anyio.to_thread
import msgspec

__all__ = [
    "FIRST_LOG",
    "FIRST_TRACE",
    "HIGHEST_LOG",
    "HIGHEST_PLACE",
    "MAX_COINS",
    "NO_INDEX",
    "ROW_LENGTH",
    "Attribution",
    "Batch",
    "Coin",
    "Rejected",
    "Row",
    "Source",
    "SourceError",
    "Table",
    "Transfer",
    "in_thread",
]

ROW_LENGTH = 1000
"""How many characters of a rejected row are kept, and of the reason."""

HIGHEST_PLACE = (1 << 31) - 1
"""Of a transaction in its block, or of what it has several of: the store has 32 bits for it."""

NO_INDEX = -1
"""Of a transaction whose place in the block is not told: the store finds one."""

FIRST_TRACE = 1
FIRST_LOG = 1_000_000
"""Positions in a transaction: of its own value 0, of what contracts moved, of tokens' transfers.

They are the same from whatever source, so that nothing is held twice.
"""

HIGHEST_LOG = HIGHEST_PLACE - FIRST_LOG

MAX_COINS = 21_000_000 * 10**8
"""In satoshi: there are never more."""

Table: TypeAlias = Literal["transfers", "coins", "attributions"]


class Transfer(NamedTuple):
    """A row of `transfers`: an amount that moved from one account to another.

    Attributes:
        height: of the block.
        timestamp: of the block, UTC.
        tx_index: position of the transaction in its block.
        position: order of the movement in its transaction; unique there.
        tx_hash: of the transaction.
        sender: canonical address; `None` where it comes into being (mining, minting).
        receiver: canonical address; `None` where it goes out of it (burning).
        asset: symbol of the chain's own, canonical contract address of a token.
        value: decimal, in base units.
    """

    height: int
    timestamp: datetime
    tx_index: int
    position: int
    tx_hash: str
    sender: str | None
    receiver: str | None
    asset: str
    value: str


class Coin(NamedTuple):
    """A row of `coins`: an input or an output of a transaction.

    Attributes:
        height: of the block.
        timestamp: of the block, UTC.
        tx_index: position of the transaction in its block.
        tx_hash: of the transaction.
        side: `in` or `out`.
        position: among the inputs or the outputs, from 0.
        address: canonical; `None` where the script has none.
        value: in base units; `None` for an input whose output the source does not tell.
        prev_tx_hash: of an input, the transaction whose output it spends; `None` for a
            new coin's (coinbase).
        prev_index: which output of that.
    """

    height: int
    timestamp: datetime
    tx_index: int
    tx_hash: str
    side: Literal["in", "out"]
    position: int
    address: str | None
    value: int | None
    prev_tx_hash: str | None
    prev_index: int | None


class Attribution(NamedTuple):
    """A row of `attributions`: who is said to be behind an address.

    Attributes:
        address: canonical.
        label: what people call it.
        category: such as `exchange`, `mixer`, `sanctioned`.
        source: who says so.
        source_url: where.
        listed_on: since when; `None` where the source does not tell.
        confidence: 0 to 1.
        country: ISO 3166 alpha-2; `None` where it is not known.
        entity: the source's name for whoever it is, the same for all their addresses.
    """

    address: str
    label: str
    category: str
    source: str
    source_url: str | None
    listed_on: date | None
    confidence: float
    country: str | None
    entity: str | None


Row: TypeAlias = Transfer | Coin | Attribution


class Rejected(msgspec.Struct, frozen=True):
    """What a source could not make a row of.

    Args:
        place: where it stands: a line of a file, a block and what of it.
        reason: what is wrong with it, in a sentence.
        row: as it was read, cut to `ROW_LENGTH` characters.
    """

    place: str
    reason: str
    row: str

    @classmethod
    def of(cls, place: str, reason: str, row: str) -> Rejected:
        """One that is not too long to keep."""
        return cls(place, reason[:ROW_LENGTH], row[:ROW_LENGTH])


class Batch(msgspec.Struct, frozen=True):
    """Rows to store at once.

    Args:
        rows: all of the source's table, each as wide as it.
        rejected: what was set aside on the way.
        checkpoint: given back to the source, it goes on behind this batch.
        done: how much of the source has been read, 0 to 1, never decreasing.
        lists: of attributions, the lists (their `source`) that this is a part of: it takes the
            place of all that the store holds of these, also where it has no row of the chain.
    """

    rows: list[Row]
    rejected: list[Rejected]
    checkpoint: str
    done: float
    lists: tuple[str, ...] = ()


class SourceError(Exception):
    """A source cannot go on. The message says why and what to do; what was stored stays."""


class Source(Protocol):
    """Whatever rows can be imported from."""

    @property
    def table(self) -> Table:
        """Which table its rows are of."""

    @property
    def name(self) -> str:
        """What it is, without secrets: a checkpoint is good for the source of the same name."""

    def batches(self, checkpoint: str | None) -> AsyncGenerator[Batch, None]:
        """Its rows in order, from the beginning or behind a checkpoint. To be closed when left.

        Raises:
            SourceError: when it cannot go on.
        """


async def in_thread(read: Callable[[], Iterator[Batch]]) -> AsyncGenerator[Batch, None]:
    """Batches of a source that blocks: each step of the iterator is taken in a worker thread."""
    batches = await anyio.to_thread.run_sync(read)
    while (batch := await anyio.to_thread.run_sync(next, batches, None)) is not None:
        yield batch
