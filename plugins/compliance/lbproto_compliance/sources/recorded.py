"""Two plain layouts, for what was recorded by other means: one block of coins, and a ledger."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from lbproto_compliance.chains import Chain
from lbproto_compliance.sources.batches import (
    HIGHEST_PLACE,
    MAX_COINS,
    Coin,
    Rejected,
    Row,
    Transfer,
)
from lbproto_compliance.sources.files import Said
from lbproto_compliance.sources.records import Fields, Malformed, Record
from lbproto_compliance.sources.values import (
    amount,
    coin_address,
    evm_address,
    integer,
    text,
    told,
    tx_hash,
)

__all__ = ["BLOCK_OF_COINS", "LEDGER", "BlockOfCoins", "Ledger", "Moment"]

BLOCK_OF_COINS = {"txid", "tx_index", "side", "index", "address", "value_sat", "prev_txid"} | {
    "prev_index"
}
"""A line for each input and output, those of one transaction together."""

LEDGER = {"from_address", "to_address", "value"}
"""A line for each amount that moved, in base units, nothing else being known."""

# What an input of new coins is said to spend: nothing, in the words of several programs.
_NOTHING = {None, "coinbase", "0" * 64}


class Moment(msgspec.Struct, frozen=True):
    """What such a file does not say of itself.

    Args:
        height: of its block.
        time: of its block, UTC.
        label: names movements that belong to no transaction, `<label>:<number of the row>`, and so
            is another for each file; None for the beginning of the file's digest.
    """

    height: int
    time: datetime
    label: str | None = None


class BlockOfCoins:
    """Inputs and outputs, a line each. A transaction with a malformed line is set aside as a whole.

    Args:
        moment: of the block.
    """

    def __init__(self, moment: Moment) -> None:
        self._moment = moment
        self._lines: list[Record] = []

    def feed(self, record: Record) -> Iterable[Said]:
        if not self._lines or _txid(record) == _txid(self._lines[-1]):
            self._lines.append(record)
            return ()
        said = self._transaction()
        self._lines = [record]
        return said

    def end(self) -> Iterable[Said]:
        return self._transaction()

    def _transaction(self) -> list[Said]:
        rows: list[Said] = []
        reasons: dict[str, str] = {}
        for line in self._lines:
            try:
                rows.append(self._coin(line.parted()))
            except Malformed as reason:
                reasons[line.place] = str(reason)
        if not reasons:
            return rows
        bad = next(iter(reasons))
        return [
            Rejected.of(
                line.place,
                reasons.get(line.place, f"{bad} of the same transaction is malformed"),
                line.text,
            )
            for line in self._lines
        ]

    def _coin(self, record: Fields) -> Row:
        side = record["side"]
        if side not in ("in", "out"):
            raise Malformed(f"side is neither in nor out: {side!r:.40}")
        spent = side == "in" and text(record, "prev_txid") not in _NOTHING
        if side == "out" or told(record, "value_sat"):
            value = integer(record, "value_sat", MAX_COINS)
        else:
            value = None
        return Coin(
            self._moment.height,
            self._moment.time,
            integer(record, "tx_index", HIGHEST_PLACE),
            tx_hash(record, "txid"),
            side,
            integer(record, "index", HIGHEST_PLACE),
            coin_address(record["address"]),
            value,
            tx_hash(record, "prev_txid") if spent else None,
            integer(record, "prev_index") if spent else None,
        )


class Ledger:
    """Amounts that moved, in the order of the file; a `Translator`.

    The file has no hashes. Each row stands for itself: it is not said that two of them were moved
    by one transaction, and its name says that it is a row of this file.

    Args:
        moment: of the block.
        chain: whose own asset it was.
        digest: of the file.
    """

    def __init__(self, moment: Moment, chain: Chain, digest: str) -> None:
        self._moment = moment
        self._chain = chain
        self._label = moment.label or digest[:12]
        self._number = -1

    def feed(self, record: Record) -> Iterable[Said]:
        self._number += 1
        try:
            return [self._transfer(record.parted())]
        except Malformed as reason:
            return [Rejected.of(record.place, str(reason), record.text)]

    def end(self) -> Iterable[Said]:
        return ()

    def _transfer(self, record: Fields) -> Row:
        sender = evm_address(record, "from_address")
        receiver = evm_address(record, "to_address")
        if sender is None and receiver is None:
            raise Malformed("there is neither from_address nor to_address")
        return Transfer(
            self._moment.height,
            self._moment.time,
            self._number,
            0,
            f"{self._label}:{self._number}",
            sender,
            receiver,
            self._chain.asset,
            amount(record, "value"),
        )


def _txid(record: Record) -> object:
    return None if record.fields is None else record.fields.get("txid")
