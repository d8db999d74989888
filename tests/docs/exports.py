"""Chain data, as blockchain-etl exports them: what the pages import."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

__all__ = ["write_exports"]

ADA, BOB, COIN = (f"0x{digit * 40}" for digit in "abc")
BLOCK, FIRST, SECOND = (f"0x{digit * 64}" for digit in "123")

ETHEREUM: dict[str, dict[str, object]] = {
    "blocks": {"number": 1, "hash": BLOCK, "timestamp": 1_600_000_000},
    "transactions": {
        "hash": FIRST,
        "block_number": 1,
        "transaction_index": 0,
        "from_address": ADA,
        "to_address": BOB,
        "value": 10**18,
        "block_timestamp": 1_600_000_000,
    },
    "receipts": {"transaction_hash": FIRST, "status": 1, "contract_address": None},
    "token_transfers": {
        "token_address": COIN,
        "from_address": BOB,
        "to_address": ADA,
        "value": 7,
        "transaction_hash": SECOND,
        "log_index": 0,
        "block_number": 1,
    },
    "traces": {
        "block_number": 1,
        "transaction_hash": FIRST,
        "transaction_index": 0,
        "from_address": ADA,
        "to_address": BOB,
        "value": 10**18,
        "trace_type": "call",
        "call_type": "call",
        "trace_address": None,
        "error": None,
        "status": 1,
    },
}

BITCOIN = {
    "hash": "4" * 64,
    "block_number": 481_825,
    "block_timestamp": 1_600_000_000,
    "is_coinbase": True,
    "index": 0,
    "inputs": [],
    "outputs": [
        {"index": 0, "addresses": ["1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"], "value": 5_000_000_000}
    ],
}


def write_exports() -> None:
    """Write files of Ethereum's and of Bitcoin's into the current directory."""
    for name, row in ETHEREUM.items():
        with Path(f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            writer.writeheader()
            writer.writerow(row)
    Path("transactions.json.gz").write_bytes(gzip.compress(json.dumps(BITCOIN).encode() + b"\n"))
