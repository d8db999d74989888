"""Blocks of an EVM chain from a node, over Ethereum's JSON-RPC."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from functools import partial

from lbproto_compliance.chains import CHAINS
from lbproto_compliance.sources.batches import Batch, Rejected, Row, SourceError, Table
from lbproto_compliance.sources.evm import Block, read_block
from lbproto_compliance.sources.evm_node import EvmNode, Tracing
from lbproto_compliance.sources.heights import Heights, Moved, Position, Span, settled
from lbproto_compliance.sources.hexes import number_of
from lbproto_compliance.sources.peers import Patience, Peer
from lbproto_compliance.sources.rpc import Rpc

__all__ = ["JsonRpc"]

logger = logging.getLogger(__name__)

_CHAIN_IDS = {name: chain.eip155 for name, chain in CHAINS.items() if chain.eip155 is not None}


class JsonRpc:
    """Transfers from a node; see `read_block` for what is one.

    Args:
        chain: `ethereum`, `polygon` or `bsc`; that the node is of it is checked.
        url: of the node. It may hold a key: messages, logs and checkpoints have none of it.
        first: height of the first block; `None` for the chain's first, or where an earlier import
            left off.
        last: height of the last; `None` for the newest that is confirmed.
        confirmations: how many blocks must stand on a block before it is read.
        traced: whether to read what contracts moved within transactions. `None`: if the node
            traces (`trace_block`, `debug_traceBlockByHash`), and then in later imports, too.
        blocks: how many make up a batch. All that is said of them is held at once: on a busy chain
            some 5 MB for each, traces included.
        calls: how many go into one request.
        concurrency: how many requests may be under way.
        patience: how much of the node's failing is put up with.

    Raises:
        SourceError: it is another chain.
    """

    table: Table = "transfers"

    def __init__(
        self,
        chain: str,
        url: str,
        *,
        first: int | None = None,
        last: int | None = None,
        confirmations: int = 12,
        traced: bool | None = None,
        blocks: int = 20,
        calls: int = 5,
        concurrency: int = 4,
        patience: Patience | None = None,
    ) -> None:
        if chain not in _CHAIN_IDS:
            raise SourceError(f"{chain} is not one of {', '.join(_CHAIN_IDS)}")
        self.name = f"json-rpc:{chain}"
        self._chain = chain
        self._url = url
        self._heights = Heights(first=first, last=last, confirmations=confirmations)
        self._traced = traced
        self._blocks = blocks
        self._calls = calls
        self._concurrency = concurrency
        self._patience = patience or Patience()

    async def batches(self, checkpoint: str | None) -> AsyncGenerator[Batch, None]:
        position = Position.decode(checkpoint)
        async with Peer(self._url, self._patience, self._concurrency) as peer:
            node = EvmNode(Rpc(peer, self._calls))
            span = await self._span(node, position)
            if span.start > span.last:
                return
            tracing = await self._tracing(node, position, span)
            for start in range(span.start, span.last + 1, self._blocks):
                last = min(start + self._blocks - 1, span.last)
                read = partial(self._read, node, start, last, position, tracing)
                blocks, rows, rejected = await settled(read, self._patience)
                position = Position(span.first, last, blocks[-1].hash, tracing is not None)
                yield Batch(rows, rejected, position.encode(), span.done(last))

    async def _span(self, node: EvmNode, position: Position | None) -> Span:
        """What to read, when the node is of this chain and knows what has been read."""
        found = await node.chain_id()
        expected = _CHAIN_IDS[self._chain]
        if found != expected:
            raise SourceError(
                f"the node is of the chain number {found}, and {self._chain} is number {expected}"
            )
        span = self._heights.span(position, await node.tip())
        if position is not None:
            [block] = await node.blocks(position.height, position.height)
            self._heights.check(position, block.hash)
        return span

    async def _tracing(
        self, node: EvmNode, position: Position | None, span: Span
    ) -> Tracing | None:
        """How to trace: always or never, so that a chain's blocks are all read alike."""
        wanted = self._traced
        if position is not None:
            if wanted not in {None, position.traced}:
                raise SourceError(
                    f"earlier blocks were imported {'with' if position.traced else 'without'} what "
                    "contracts moved. Import these alike, or all into another directory"
                )
            wanted = position.traced
        if wanted is False:
            return None
        # The newest block: a node may have forgotten what is needed to trace old ones, and says so.
        tracing = await node.tracing(span.last)
        if tracing is None and wanted:
            raise SourceError(
                "the node does not trace what contracts moved. Ask one that offers trace_block or "
                "debug_traceBlockByHash, or import into another directory without"
            )
        if tracing is None:
            logger.warning("the node does not trace: what contracts moved is not imported")
        return tracing

    async def _read(
        self,
        node: EvmNode,
        start: int,
        last: int,
        position: Position | None,
        tracing: Tracing | None,
    ) -> tuple[list[Block], list[Row], list[Rejected]]:
        """Blocks that stand on each other, and on what was read before.

        Raises:
            Moved: they did not when they were asked for.
        """
        blocks = await node.blocks(start, last)
        if position is not None:
            self._heights.check(position, blocks[0].parent_hash)
        _check_links(blocks, start)
        return blocks, *await self._movements(node, blocks, tracing)

    async def _movements(
        self, node: EvmNode, blocks: list[Block], tracing: Tracing | None
    ) -> tuple[list[Row], list[Rejected]]:
        rows: list[Row] = []
        rejected: list[Rejected] = []
        blocks = [block for block in blocks if block.transactions]
        receipts = await node.receipts(blocks)
        traces = await node.traces(blocks, tracing) if tracing else [None] * len(blocks)
        for block, of_block, trace in zip(blocks, receipts, traces, strict=True):
            try:
                found = read_block(block, of_block, trace, CHAINS[self._chain].asset)
            except ValueError as error:
                raise SourceError(f"block {number_of(block.number)}: {error}") from None
            rows += found[0]
            rejected += found[1]
        return rows, rejected


def _check_links(blocks: list[Block], start: int) -> None:
    """That each block has the height asked for, and stands on the one before it."""
    before = None
    for height, block in enumerate(blocks, start):
        if number_of(block.number) != height:
            raise SourceError(f"asked for block {height}, the node answers with {block.number}")
        if before is not None and block.parent_hash != before:
            raise Moved(f"block {height} does not stand on block {height - 1}")
        before = block.hash
