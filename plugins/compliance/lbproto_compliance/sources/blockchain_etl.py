"""What bitcoin-etl and ethereum-etl export: their columns, and the public data sets made by them.

A transaction of ethereum-etl's does not say whether it failed, and a token's transfer not when it
was: blocks, transactions and receipts that are imported together complete each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from threading import Lock
from typing import cast

import msgspec

from lbproto_compliance.chains import Chain
from lbproto_compliance.sources.batches import (
    FIRST_LOG,
    FIRST_TRACE,
    HIGHEST_LOG,
    HIGHEST_PLACE,
    MAX_COINS,
    NO_INDEX,
    Coin,
    Row,
    SourceError,
    Transfer,
)
from lbproto_compliance.sources.records import Fields, Malformed, RecordFile
from lbproto_compliance.sources.values import (
    amount,
    coin_address,
    evm_address,
    failed,
    integer,
    moment,
    text,
    told,
    tx_hash,
)

__all__ = [
    "BITCOIN_TRANSACTIONS",
    "BLOCKS",
    "RECEIPTS",
    "TOKEN_TRANSFERS",
    "TRACES",
    "TRANSACTIONS",
    "Facts",
    "Traces",
    "bitcoin_transaction",
    "token_transfer",
    "transaction",
]

BITCOIN_TRANSACTIONS = {"hash", "block_number", "block_timestamp", "inputs", "outputs"}
BLOCKS = {"number", "hash", "timestamp"}
RECEIPTS = {"transaction_hash", "status", "contract_address"}
TRANSACTIONS = {"hash", "block_number", "transaction_index", "from_address", "to_address", "value"}
TRACES = {"block_number", "transaction_hash", "transaction_index", "from_address", "to_address"} | {
    "value",
    "trace_type",
    "trace_address",
}
TOKEN_TRANSFERS = {"token_address", "from_address", "to_address", "value", "block_number"} | {
    "transaction_hash",
    "log_index",
}
"""Columns that a layout is recognised by; others are ignored, or used where they are there."""

# What Ethereum's client calls what was not done by a transaction.
_UNTRANSACTED = {"reward", "genesis", "daofork"}


class Facts:
    """What blocks and receipts say of transactions; read when it is first asked for.

    Args:
        blocks: files of them.
        receipts: files of them.
    """

    def __init__(self, blocks: Sequence[RecordFile], receipts: Sequence[RecordFile]) -> None:
        self._blocks = blocks
        self._receipts = receipts
        self._lock = Lock()
        self._read = False
        self._times: dict[int, datetime] = {}
        self._failed: set[str] = set()
        self._created: dict[str, str] = {}

    def time(self, record: Fields, height: int) -> datetime:
        """When a record's block was made.

        Raises:
            Malformed: nobody says.
            SourceError: the files cannot be read.
        """
        if told(record, "block_timestamp"):
            return moment(record, "block_timestamp")
        self._load()
        found = self._times.get(height)
        if found is None:
            raise Malformed(
                f"the time of block {height} is not known: import the file of blocks with it"
            )
        return found

    def failed(self, hash_: str) -> bool:
        """Whether receipts say that a transaction failed; then it moved nothing."""
        self._load()
        return hash_ in self._failed

    def created(self, hash_: str) -> str | None:
        """The contract that a transaction made."""
        self._load()
        return self._created.get(hash_)

    def _load(self) -> None:
        with self._lock:
            if not self._read:
                for file in self._blocks:
                    self._each(file, self._block)
                for file in self._receipts:
                    self._each(file, self._receipt)
                self._read = True

    def _each(self, file: RecordFile, take: Callable[[Fields], None]) -> None:
        for record in file.records():
            try:
                take(record.parted())
            except Malformed as reason:
                raise SourceError(f"{file.path}, {record.place}: {reason}") from None

    def _block(self, record: Fields) -> None:
        self._times[integer(record, "number")] = moment(record, "timestamp")

    def _receipt(self, record: Fields) -> None:
        hash_ = tx_hash(record, "transaction_hash")
        contract = evm_address(record, "contract_address")
        if failed(record, "status"):
            self._failed.add(hash_)
        elif contract is not None:
            self._created[hash_] = contract


def bitcoin_transaction(record: Fields) -> list[Row]:
    """A transaction of bitcoin-etl's, all of its inputs and outputs, or nothing of it."""
    height = integer(record, "block_number")
    time = moment(record, "block_timestamp")
    hash_ = tx_hash(record, "hash")
    index = _place(record, "index")
    rows: list[Row] = []
    for item in _nested(record, "inputs", "input_count"):
        spent = text(item, "spent_transaction_hash")
        rows.append(
            Coin(
                height,
                time,
                index,
                hash_,
                "in",
                integer(item, "index", HIGHEST_PLACE),
                _owner(item),
                None if item.get("value") is None else integer(item, "value", MAX_COINS),
                None if spent is None else tx_hash(item, "spent_transaction_hash"),
                None if spent is None else integer(item, "spent_output_index"),
            )
        )
    rows.extend(
        Coin(
            height,
            time,
            index,
            hash_,
            "out",
            integer(item, "index", HIGHEST_PLACE),
            _owner(item),
            integer(item, "value", MAX_COINS),
            None,
            None,
        )
        for item in _nested(record, "outputs", "output_count")
    )
    return rows


def transaction(record: Fields, chain: Chain, facts: Facts) -> list[Row]:
    """A transaction of ethereum-etl's; no row if it is known to have failed."""
    height = integer(record, "block_number")
    hash_ = tx_hash(record, "hash")
    row = Transfer(
        height,
        facts.time(record, height),
        integer(record, "transaction_index", HIGHEST_PLACE),
        0,
        hash_,
        evm_address(record, "from_address"),
        evm_address(record, "to_address")
        or evm_address(record, "receipt_contract_address")
        or facts.created(hash_),
        chain.asset,
        amount(record, "value"),
    )
    return [] if failed(record, "receipt_status") or facts.failed(hash_) else [row]


def token_transfer(record: Fields, facts: Facts) -> list[Row]:
    """A token's transfer of ethereum-etl's; the zero address is where it is made or destroyed."""
    height = integer(record, "block_number")
    token = evm_address(record, "token_address")
    if token is None:
        raise Malformed("token_address is missing")
    return [
        Transfer(
            height,
            facts.time(record, height),
            NO_INDEX,
            FIRST_LOG + integer(record, "log_index", HIGHEST_LOG),
            tx_hash(record, "transaction_hash"),
            _not_zero(evm_address(record, "from_address")),
            _not_zero(evm_address(record, "to_address")),
            token,
            amount(record, "value"),
        )
    ]


class Traces:
    """Traces of ethereum-etl's, in its order: what contracts moved, and rewards of miners.

    A transaction's outermost call is the transaction itself. What failed, moved nothing, or ran in
    another contract's name is not a row.

    Args:
        chain: whose.
        facts: when blocks were.
    """

    def __init__(self, chain: Chain, facts: Facts) -> None:
        self._chain = chain
        self._facts = facts
        self._of: tuple[int, str] | None = None
        self._count = 0

    def translate(self, record: Fields) -> list[Row]:
        """The row of the next trace, or none."""
        height = integer(record, "block_number")
        kind = text(record, "trace_type") or ""
        hash_ = kind if kind in _UNTRANSACTED else tx_hash(record, "transaction_hash")
        if (height, hash_) != self._of:
            self._of, self._count = (height, hash_), 0
        if _moves_nothing(record):
            return []
        sender = evm_address(record, "from_address")
        receiver = evm_address(record, "to_address")
        value = amount(record, "value")
        if value == "0" and kind != "create":
            return []
        outermost = kind not in _UNTRANSACTED and record.get("trace_address") in (None, "", [])
        position = 0 if outermost else FIRST_TRACE + self._count
        self._count += not outermost
        if kind in _UNTRANSACTED:
            hash_ = f"{kind}:{height}:{position - FIRST_TRACE}"
        return [
            Transfer(
                height,
                self._facts.time(record, height),
                _place(record, "transaction_index"),
                position,
                hash_,
                sender,
                receiver,
                self._chain.asset,
                value,
            )
        ]


def _moves_nothing(record: Fields) -> bool:
    within = text(record, "call_type") in ("delegatecall", "staticcall", "callcode")
    return failed(record, "status") or within or bool(text(record, "error"))


def _place(record: Fields, name: str) -> int:
    """Of a transaction in its block, where that is told."""
    return integer(record, name, HIGHEST_PLACE) if told(record, name) else NO_INDEX


def _nested(record: Fields, name: str, counted: str) -> list[Fields]:
    """A list within a record: as it is, or as JSON in a field of CSV."""
    found = record.get(name)
    if isinstance(found, str):
        try:
            found = msgspec.json.decode(found)
        except (msgspec.DecodeError, RecursionError):
            raise Malformed(f"{name} are not JSON") from None
    found = [] if found is None else found
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise Malformed(f"{name} are not a list of objects")
    if told(record, counted) and integer(record, counted) != len(found):
        raise Malformed(f"{name} are {len(found)}, which is not {counted}")
    return cast(list[Fields], found)


def _owner(item: Fields) -> str | None:
    """The one address of an input or output; None where there is none, or are several."""
    addresses = item.get("addresses")
    if addresses is None or addresses == []:
        return None
    if not isinstance(addresses, list):
        raise Malformed("addresses are not a list")
    if len(addresses) > 1:
        return None
    # That is how bitcoin-etl writes scripts that have no address.
    if isinstance(addresses[0], str) and addresses[0].startswith("nonstandard"):
        return None
    return coin_address(addresses[0])


def _not_zero(address: str | None) -> str | None:
    return None if address is None or not address.strip("0x") else address
