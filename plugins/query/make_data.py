"""Makes the catalogue that comes with the package from recorded files.

    python make_data.py TRADES.csv BLOCK.csv.gz

`lbproto_query/data/README.md` says what they are.
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

_INTO = Path(__file__).parent / "lbproto_query" / "data" / "default"
_OPTIONS = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 19"
_TABLES = {
    "trades": """
        SELECT make_timestamptz(timestamp_ms * 1000) AS timestamp, id, side, price, amount
        FROM read_csv(?, types = {
            'timestamp_ms': 'BIGINT', 'id': 'BIGINT', 'side': 'VARCHAR',
            'price': 'DECIMAL(18, 8)', 'amount': 'DECIMAL(18, 8)'})
        ORDER BY id
    """,
    "bitcoin_block": """
        SELECT txid, tx_index, side, index, address, value_sat, prev_txid, prev_index
        FROM read_csv(?, types = {
            'txid': 'VARCHAR', 'tx_index': 'INTEGER', 'side': 'VARCHAR', 'index': 'INTEGER',
            'address': 'VARCHAR', 'value_sat': 'BIGINT', 'prev_txid': 'VARCHAR',
            'prev_index': 'BIGINT'})
        ORDER BY tx_index, side, index
    """,
}


def main() -> None:
    """Write one file per table."""
    with duckdb.connect() as connection:
        for (table, sql), source in zip(_TABLES.items(), sys.argv[1:], strict=True):
            connection.execute(f"COPY ({sql}) TO '{_INTO / table}.parquet' ({_OPTIONS})", [source])


if __name__ == "__main__":
    main()
