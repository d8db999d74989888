"""An explorer that speaks Esplora's HTTP: a real block, and small ones around it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import duckdb

from tests.compliance.web_server import Asked, Said

Transaction: TypeAlias = dict[str, Any]

GENESIS = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"
HEIGHT = 481_824
"""Of the real block."""

_BLOCK = Path("plugins/query/lbproto_query/data/default/bitcoin_block.parquet")
_FIELDS = "txid, tx_index, side, address, value_sat, prev_txid, prev_index"
_PAGE = 25


def real_transactions() -> list[Transaction]:
    """Those of block 481,824. Values of inputs were not recorded: 1 stands for them."""
    path = Path(__file__).parents[2] / _BLOCK
    transactions: list[Transaction] = []
    with duckdb.connect() as connection:
        query = f"SELECT {_FIELDS} FROM '{path}' ORDER BY tx_index, side, \"index\""  # noqa: S608
        for txid, index, side, address, value, spent, position in connection.execute(
            query
        ).fetchall():
            if index == len(transactions):
                transactions.append({"txid": txid, "vin": [], "vout": []})
            output = {"value": 1 if value is None else value} | (
                {} if address is None else {"scriptpubkey_address": address}
            )
            if side == "out":
                transactions[index]["vout"].append(output)
            elif spent == "coinbase":
                made = {"txid": "0" * 64, "vout": 0xFFFF_FFFF, "is_coinbase": True, "prevout": None}
                transactions[index]["vin"].append(made)
            else:
                spending = {"txid": spent, "vout": position, "is_coinbase": False}
                transactions[index]["vin"].append(spending | {"prevout": output})
    return transactions


def coinbase(height: int) -> Transaction:
    """The one transaction of a block that has no other."""
    made = {"txid": "0" * 64, "vout": 0xFFFF_FFFF, "is_coinbase": True, "prevout": None}
    paid = {"value": 5_000_000_000, "scriptpubkey_address": "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"}
    return {"txid": f"{height:064x}", "vin": [made], "vout": [paid]}


class Explorer:
    """A chain, of which there are the first block and those from some height on.

    Attributes:
        hashes: of blocks, by height.
        transactions: of blocks, by hash.
        changes: what is answered in place of what would be, by path.
        asked: the paths that were asked for.
    """

    def __init__(self, first: int, blocks: list[list[Transaction]]) -> None:
        self.hashes = {0: GENESIS}
        self.transactions = {GENESIS: [coinbase(0)]}
        self.changes: dict[str, Said] = {}
        self.asked: list[str] = []
        for height, transactions in enumerate(blocks, first):
            self.put(height, transactions)

    def put(self, height: int, transactions: list[Transaction], version: int = 0) -> None:
        """A block, in place of the one that was there."""
        self.hashes[height] = f"{version:032x}{height:032x}"
        self.transactions[self.hashes[height]] = transactions

    def __call__(self, asked: Asked) -> Said:
        self.asked.append(asked.path)
        if asked.path in self.changes:
            return self.changes[asked.path]
        body = next(self._answer(asked.path.split("/")[1:]), None)
        return Said(b"Not found", 404) if body is None else Said(body.encode())

    def _answer(self, path: list[str]) -> Iterator[str]:
        match path:
            case ["blocks", "tip", "height"]:
                yield str(max(self.hashes))
            case ["block-height", height] if int(height) in self.hashes:
                yield self.hashes[int(height)]
            case ["block", block] if block in self.transactions:
                yield json.dumps(self._block(block))
            case ["block", block, "txs", start]:
                page = self.transactions[block][int(start) : int(start) + _PAGE]
                yield json.dumps(page)

    def _block(self, block: str) -> dict[str, Any]:
        [height] = [height for height, found in self.hashes.items() if found == block]
        return {
            "id": block,
            "height": height,
            "timestamp": 1_503_539_857 + 600 * (height - HEIGHT),
            "tx_count": len(self.transactions[block]),
            "previousblockhash": self.hashes.get(height - 1, "f" * 64) if height else None,
        }
