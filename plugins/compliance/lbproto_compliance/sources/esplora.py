"""Blocks of Bitcoin from an explorer that speaks Esplora's HTTP: blockstream.info, mempool.space.

Its interface: github.com/Blockstream/esplora, `API.md`. Such a server may be one's own, too.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence
from functools import partial
from itertools import pairwise

import msgspec

from lbproto_compliance.sources.batches import Batch, Rejected, Row, SourceError, Table
from lbproto_compliance.sources.bitcoin import Block, read_transaction
from lbproto_compliance.sources.heights import Heights, Moved, Position, Span, settled
from lbproto_compliance.sources.peers import Patience, Peer
from lbproto_compliance.sources.together import together

__all__ = ["Esplora"]

_GENESIS = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"

# How many transactions come at once; the interface says so.
_PAGE = 25

_HASH = re.compile("[0-9a-f]{64}")
_block = msgspec.json.Decoder(Block)
_page = msgspec.json.Decoder(list[msgspec.Raw])


class Esplora:
    """Inputs and outputs of all transactions, block by block.

    An input has address and value of the output that it spends: the server tells them.

    Args:
        url: where its paths begin, such as `https://blockstream.info/api`.
        first: height of the first block; `None` for the chain's first, or where an earlier import
            left off.
        last: height of the last; `None` for the newest that is confirmed.
        confirmations: how many blocks must stand on a block before it is read.
        blocks: how many make up a batch.
        concurrency: how many requests may be under way. Public servers want few.
        patience: how much of the server's failing is put up with.
    """

    table: Table = "coins"
    name = "esplora:bitcoin"

    def __init__(
        self,
        url: str,
        *,
        first: int | None = None,
        last: int | None = None,
        confirmations: int = 6,
        blocks: int = 5,
        concurrency: int = 4,
        patience: Patience | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._heights = Heights(first=first, last=last, confirmations=confirmations)
        self._blocks = blocks
        self._concurrency = concurrency
        self._patience = patience or Patience()

    async def batches(self, checkpoint: str | None) -> AsyncGenerator[Batch, None]:
        position = Position.decode(checkpoint)
        async with Peer(self._url, self._patience, self._concurrency) as peer:
            span = await self._span(peer, position)
            for start in range(span.start, span.last + 1, self._blocks):
                last = min(start + self._blocks - 1, span.last)
                blocks = await settled(partial(_blocks, peer, start, last), self._patience)
                if position is not None:
                    self._heights.check(position, blocks[0].previous_hash or "the first one")
                rows, rejected = await _coins(peer, blocks)
                position = Position(span.first, last, blocks[-1].hash)
                yield Batch(rows, rejected, position.encode(), span.done(last))

    async def _span(self, peer: Peer, position: Position | None) -> Span:
        """What to read, when the server is of this chain and knows what has been read."""
        if await _hash_at(peer, 0) != _GENESIS:
            raise SourceError(f"{peer.host} is not of Bitcoin's main network")
        span = self._heights.span(position, await peer.ask(int, path="/blocks/tip/height"))
        if position is not None:
            self._heights.check(position, await _hash_at(peer, position.height))
        return span


async def _blocks(peer: Peer, first: int, last: int) -> list[Block]:
    """The blocks of these heights, both included.

    Raises:
        Moved: one does not stand on the one before it.
    """

    async def block_at(height: int) -> Block:
        block_hash = await _hash_at(peer, height)
        block = await peer.ask(_block.decode, path=f"/block/{block_hash}")
        if (block.hash, block.height) != (block_hash, height):
            raise SourceError(f"{peer.host}: asked for block {height}, it tells of {block.height}")
        return block

    blocks = await together(partial(block_at, height) for height in range(first, last + 1))
    for before, block in pairwise(blocks):
        if block.previous_hash != before.hash:
            raise Moved(f"block {block.height} does not stand on block {before.height}")
    return blocks


async def _hash_at(peer: Peer, height: int) -> str:
    return await peer.ask(_hash, path=f"/block-height/{height}")


async def _coins(peer: Peer, blocks: Sequence[Block]) -> tuple[list[Row], list[Rejected]]:
    """All rows of some blocks, in their order."""
    pages = [(block, start) for block in blocks for start in range(0, block.tx_count, _PAGE)]
    rows: list[Row] = []
    rejected: list[Rejected] = []
    answers = await together(partial(_transactions, peer, *page) for page in pages)
    for (block, start), answer in zip(pages, answers, strict=True):
        for index, raw in enumerate(answer, start):
            read = read_transaction(block, index, raw)
            rows += read[0]
            rejected += read[1]
    return rows, rejected


async def _transactions(peer: Peer, block: Block, start: int) -> list[msgspec.Raw]:
    """A page of a block's."""
    expected = min(_PAGE, block.tx_count - start)

    def decode(body: bytes) -> list[msgspec.Raw]:
        page = _page.decode(body)
        if len(page) != expected:
            raise ValueError(f"{len(page)} transactions on a page that should have {expected}")
        return page

    return await peer.ask(decode, path=f"/block/{block.hash}/txs/{start}")


def _hash(body: bytes) -> str:
    text = body.decode("ascii").strip()
    if not _HASH.fullmatch(text):
        raise ValueError("no hash")
    return text
