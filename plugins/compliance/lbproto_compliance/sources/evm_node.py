"""A node of an EVM chain, and what it can tell of blocks."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import islice
from typing import Literal, TypeAlias, TypeVar

import msgspec

from lbproto_compliance.sources.batches import SourceError
from lbproto_compliance.sources.evm import Block
from lbproto_compliance.sources.heights import Moved
from lbproto_compliance.sources.hexes import hash_of, number_of
from lbproto_compliance.sources.rpc import Call, Refused, Rpc
from lbproto_compliance.sources.traces import Trace, call_traces, flat_traces

__all__ = ["EvmNode", "Tracing"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

Tracing: TypeAlias = Literal["trace_block", "debug_traceBlockByHash"]
"""The methods by which nodes tell what contracts moved: Parity's, and Geth's."""

_TRACINGS: tuple[Tracing, ...] = ("trace_block", "debug_traceBlockByHash")
_TRACER = {"tracer": "callTracer"}


class EvmNode:
    """One node.

    Args:
        rpc: asks it.

    All methods raise `SourceError` when the node does not answer, or nothing that can be read.
    """

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc
        self._receipts_by_block = True

    async def chain_id(self) -> int:
        """The chain's number (EIP-155)."""
        return await self._rpc.demand(Call("eth_chainId"), _number)

    async def tip(self) -> int:
        """Height of the newest block."""
        return await self._rpc.demand(Call("eth_blockNumber"), _number)

    async def blocks(self, first: int, last: int) -> list[Block]:
        """The blocks of these heights, both included, each by itself as the node has it now."""
        calls = [
            Call("eth_getBlockByNumber", (hex(height), True)) for height in range(first, last + 1)
        ]
        return await self._rpc.demand_all(calls, _block)

    async def receipts(self, blocks: Sequence[Block]) -> list[list[msgspec.Raw]]:
        """The receipts of each block's transactions."""
        if self._receipts_by_block:
            calls = [Call("eth_getBlockReceipts", (block.number,)) for block in blocks]
            results = await self._rpc.call_all(calls, _receipts)
            found = [result for result in results if not isinstance(result, Refused)]
            if len(found) == len(blocks):
                return found
            logger.info("the node tells no receipts by blocks, so they are asked for one by one")
            self._receipts_by_block = False
        hashes = [_tx_hashes(block) for block in blocks]
        calls = [Call("eth_getTransactionReceipt", (one,)) for each in hashes for one in each]
        receipts = iter(await self._rpc.demand_all(calls, _receipt))
        return [list(islice(receipts, len(each))) for each in hashes]

    async def tracing(self, height: int) -> Tracing | None:
        """How the node traces the block of this height; `None` if it does not."""
        [block] = await self.blocks(height, height)
        for tracing in _TRACINGS:
            refused = await self._rpc.call(_trace_call(tracing, block), bytes)
            if not isinstance(refused, Refused):
                return tracing
            logger.info("the node refuses %s: %s", tracing, refused)
        return None

    async def traces(self, blocks: Sequence[Block], tracing: Tracing) -> list[dict[str, Trace]]:
        """What contracts moved in each block, by transaction.

        Raises:
            Moved: a trace is of another block of its height.
        """
        calls = [_trace_call(tracing, block) for block in blocks]
        bodies = await self._rpc.demand_all(calls, bytes)
        traces = []
        for block, body in zip(blocks, bodies, strict=True):
            try:
                traces.append(_traces(block, body, tracing))
            except ValueError as error:
                raise SourceError(
                    f"the trace of block {number_of(block.number)} cannot be read: {error}"
                ) from None
        return traces


class _Named(msgspec.Struct):
    hash: str


def _tx_hashes(block: Block) -> list[str]:
    """Of its transactions, in their order; those that cannot be read are told elsewhere."""
    hashes = []
    for raw in block.transactions:
        try:
            hashes.append(hash_of(msgspec.json.decode(raw, type=_Named).hash))
        except ValueError:
            continue
    return hashes


def _trace_call(tracing: Tracing, block: Block) -> Call:
    if tracing == "trace_block":
        return Call(tracing, (block.number,))
    return Call(tracing, (block.hash, _TRACER))


def _traces(block: Block, body: bytes, tracing: Tracing) -> dict[str, Trace]:
    if tracing == "debug_traceBlockByHash":
        return call_traces(body, _tx_hashes(block))
    hashes, traces = flat_traces(body)
    if hashes - {block.hash}:
        raise Moved(f"block {number_of(block.number)} is {block.hash}, and its traces are not")
    return traces


def _number(body: bytes) -> int:
    return number_of(msgspec.json.decode(body, type=str))


def _block(body: bytes) -> Block:
    block = _present(body, Block)
    number_of(block.number)
    block.hash = hash_of(block.hash)
    block.parent_hash = hash_of(block.parent_hash)
    return block


def _receipts(body: bytes) -> list[msgspec.Raw]:
    return _present(body, list[msgspec.Raw])


def _receipt(body: bytes) -> msgspec.Raw:
    return _present(body, msgspec.Raw)


def _present(body: bytes, kind: type[T]) -> T:
    """What a node may not have yet, though another one behind the same address has: asked again."""
    if body == b"null":
        raise ValueError("it does not know a block that is confirmed")
    return msgspec.json.decode(body, type=kind)
