"""What moved in a block of an EVM chain, read from what its node says of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

import msgspec

from lbproto_compliance.sources.batches import (
    FIRST_LOG,
    FIRST_TRACE,
    HIGHEST_LOG,
    Rejected,
    Transfer,
)
from lbproto_compliance.sources.heights import Moved
from lbproto_compliance.sources.hexes import address_of, hash_of, number_of, topic_address
from lbproto_compliance.sources.traces import Trace

__all__ = ["Block", "read_block"]

# The first topic of `Transfer(address,address,uint256)`, of ERC-20 and of ERC-721.
_TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"

# ERC-20 has who and whom as topics; ERC-721, of which no amount moves, a token's number as well.
_ERC20_TOPICS = 3
_ERC721_TOPICS = 4

_NOBODY = "0x" + "0" * 40
_LAST_SECOND = 253_402_300_799  # of the year 9999

# Position, sender, receiver, asset, value.
_Movement: TypeAlias = tuple[int, str | None, str | None, str, int]


class Block(msgspec.Struct, rename="camel"):
    """A block; its transactions are read one by one, so that a malformed one spoils no other."""

    number: str
    hash: str
    parent_hash: str
    timestamp: str
    transactions: list[msgspec.Raw]


class _Transaction(msgspec.Struct):
    hash: str
    value: str
    from_: str = msgspec.field(name="from")
    to: str | None = None


class _Receipt(msgspec.Struct, rename="camel"):
    transaction_hash: str
    block_hash: str
    logs: list[msgspec.Raw]
    status: str | None = None
    contract_address: str | None = None


class _Log(msgspec.Struct, rename="camel"):
    address: str
    topics: list[str]
    data: str
    log_index: str


def read_block(
    block: Block,
    receipts: Sequence[msgspec.Raw],
    traces: Mapping[str, Trace] | None,
    asset: str,
) -> tuple[list[Transfer], list[Rejected]]:
    """The block's movements, and what could not be read.

    Of each transaction its own value, what contracts moved within it, and tokens (ERC-20), at the
    same positions as in exports of ethereum-etl's. Fees, rewards and withdrawals of stakes are no
    movements here, and neither is what moves nothing: amounts of 0, transactions that failed.

    Args:
        block: with whole transactions.
        receipts: one for each of them, in any order.
        traces: by transaction; `None` where the node does not tell.
        asset: symbol of the chain's own.

    Raises:
        Moved: a receipt is of another block.
        ValueError: the block's own fields are malformed.
    """
    seconds = number_of(block.timestamp)
    if seconds > _LAST_SECOND:
        raise ValueError(f"a block of no time: {seconds}")
    timestamp = datetime.fromtimestamp(seconds, UTC)
    reading = _Reading(number_of(block.number), timestamp, asset, traces)
    known = reading.receipts(receipts, hash_of(block.hash))
    for index, raw in enumerate(block.transactions):
        reading.transaction(index, raw, known)
    return reading.rows, reading.rejected


class _Reading:
    """One block's."""

    def __init__(
        self, height: int, timestamp: datetime, asset: str, traces: Mapping[str, Trace] | None
    ) -> None:
        self.rows: list[Transfer] = []
        self.rejected: list[Rejected] = []
        self._height = height
        self._timestamp = timestamp
        self._asset = asset
        self._traces = traces

    def receipts(self, raws: Sequence[msgspec.Raw], block_hash: str) -> dict[str, _Receipt]:
        """By transaction. One that cannot be read is set aside, and so is its transaction then."""
        known: dict[str, _Receipt] = {}
        for place, raw in enumerate(raws):
            try:
                receipt = msgspec.json.decode(raw, type=_Receipt)
                of = hash_of(receipt.block_hash)
                known[hash_of(receipt.transaction_hash)] = receipt
            except ValueError as error:
                self._reject(f"receipt {place}", error, raw)
                continue
            if of != block_hash:
                raise Moved(f"block {self._height} is {block_hash}, and a receipt is of {of}")
        return known

    def transaction(self, index: int, raw: msgspec.Raw, receipts: dict[str, _Receipt]) -> None:
        try:
            transaction = msgspec.json.decode(raw, type=_Transaction)
            tx_hash = hash_of(transaction.hash)
            receipt = receipts.get(tx_hash)
            if receipt is None:
                raise ValueError("the node tells no receipt of it, so not whether it failed")
            trace = self._trace(tx_hash)
            if self._failed(receipt, trace):
                return
            movements = list(self._own(transaction, receipt, trace))
        except ValueError as error:
            self._reject(f"transaction {index}", error, raw)
            return
        for place, log in enumerate(receipt.logs):
            try:
                movements += _tokens(log)
            except ValueError as error:  # a contract may say anything, and spoils only that
                self._reject(f"transaction {index}, log {place}", error, log)
        self.rows += [
            Transfer(
                self._height,
                self._timestamp,
                index,
                position,
                tx_hash,
                sender,
                receiver,
                asset,
                str(value),
            )
            for position, sender, receiver, asset, value in movements
            if value
        ]

    def _trace(self, tx_hash: str) -> Trace | None:
        if self._traces is None:
            return None
        if tx_hash not in self._traces:
            raise ValueError("the node tells no trace of it")
        return self._traces[tx_hash]

    def _failed(self, receipt: _Receipt, trace: Trace | None) -> bool:
        if receipt.status is not None:
            return not number_of(receipt.status)
        if trace is None:  # receipts have a status since Byzantium (2017)
            raise ValueError("its receipt does not tell whether it failed, and there is no trace")
        return trace.failed

    def _own(
        self, transaction: _Transaction, receipt: _Receipt, trace: Trace | None
    ) -> Iterator[_Movement]:
        """Movements of the chain's own asset."""
        receiver = transaction.to or receipt.contract_address
        if receiver is None:
            raise ValueError("it pays nobody and makes no contract")
        sender = address_of(transaction.from_)
        yield 0, sender, address_of(receiver), self._asset, number_of(transaction.value)
        for position, internal in enumerate(trace.internals if trace else (), FIRST_TRACE):
            yield position, internal.sender, internal.receiver, self._asset, internal.value

    def _reject(self, what: str, error: ValueError, raw: msgspec.Raw) -> None:
        text = bytes(raw).decode(errors="replace")
        self.rejected.append(Rejected.of(f"block {self._height}, {what}", str(error), text))


def _tokens(raw: msgspec.Raw) -> Iterator[_Movement]:
    """What a log says of tokens."""
    log = msgspec.json.decode(raw, type=_Log)
    if not log.topics or log.topics[0].lower() != _TRANSFER or len(log.topics) == _ERC721_TOPICS:
        return
    if len(log.topics) != _ERC20_TOPICS:
        raise ValueError("a transfer of tokens that is neither ERC-20's nor ERC-721's")
    sender, receiver = (topic_address(topic) for topic in log.topics[1:])
    index = number_of(log.log_index)
    if index > HIGHEST_LOG:
        raise ValueError(f"a log that no block has so many of: {index}")
    position = FIRST_LOG + index
    asset, value = address_of(log.address), number_of(log.data)
    yield position, _somebody(sender), _somebody(receiver), asset, value


def _somebody(address: str) -> str | None:
    """Tokens that are made come from nobody, and those that are burnt go to nobody."""
    return None if address == _NOBODY else address
