"""What a block of Bitcoin moved, read from what an explorer says of its transactions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from lbproto_compliance.addresses import MalformedAddress, parse
from lbproto_compliance.sources.batches import MAX_COINS, Coin, Rejected

__all__ = ["Block", "read_transaction"]

_Hash = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
_Index = Annotated[int, Meta(ge=0, le=0xFFFF_FFFF)]
_Value = Annotated[int, Meta(ge=0, le=MAX_COINS)]


class Block(msgspec.Struct, rename={"hash": "id", "previous_hash": "previousblockhash"}):
    """A block, without its transactions.

    Bounds are those of the protocol: time has 32 bits, a transaction at least 60 bytes.
    """

    hash: _Hash
    height: _Index
    timestamp: _Index
    tx_count: Annotated[int, Meta(ge=1, le=70_000)]
    previous_hash: _Hash | None = None


class _Output(msgspec.Struct):
    value: _Value
    scriptpubkey_address: str | None = None


class _Input(msgspec.Struct):
    txid: _Hash
    vout: _Index
    prevout: _Output | None = None
    is_coinbase: bool = False


class _Transaction(msgspec.Struct):
    txid: _Hash
    vin: list[_Input]
    vout: list[_Output]


_transactions = msgspec.json.Decoder(_Transaction)


def read_transaction(
    block: Block, index: int, raw: msgspec.Raw
) -> tuple[list[Coin], list[Rejected]]:
    """The inputs and outputs of a transaction, and what could not be read of it.

    An address outside Bitcoin's main network is set aside, and what it received or spent
    stays without an address.

    Args:
        block: that it is in.
        index: its place there.
        raw: the transaction.
    """
    reading = _Reading(block, index, raw)
    try:
        transaction = _transactions.decode(raw)
    except msgspec.DecodeError as error:
        return [], [reading.rejected("", str(error))]
    rows = list(reading.rows(transaction))
    return rows, reading.malformed


class _Reading:
    """One transaction's."""

    def __init__(self, block: Block, index: int, raw: msgspec.Raw) -> None:
        self.malformed: list[Rejected] = []
        self._block = block
        self._index = index
        self._raw = raw
        self._timestamp = datetime.fromtimestamp(block.timestamp, UTC)

    def rows(self, transaction: _Transaction) -> Iterator[Coin]:
        place = (self._block.height, self._timestamp, self._index, transaction.txid)
        for position, spent in enumerate(transaction.vin):
            made = spent.prevout
            address = self._address(made, f", input {position}") if made else None
            value = made.value if made else None
            before = (None, None) if spent.is_coinbase else (spent.txid, spent.vout)
            yield Coin(*place, "in", position, address, value, *before)
        for position, made in enumerate(transaction.vout):
            address = self._address(made, f", output {position}")
            yield Coin(*place, "out", position, address, made.value, None, None)

    def _address(self, output: _Output, where: str) -> str | None:
        if output.scriptpubkey_address is None:  # scripts of other kinds have none
            return None
        try:
            return parse("bitcoin", output.scriptpubkey_address)
        except MalformedAddress as error:
            self.malformed.append(self.rejected(where, str(error)))
            return None

    def rejected(self, where: str, reason: str) -> Rejected:
        place = f"block {self._block.height}, transaction {self._index}{where}"
        return Rejected.of(place, reason, bytes(self._raw).decode(errors="replace"))
