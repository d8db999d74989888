"""The tables of chain data: their columns, and rows of sources as columns that DuckDB takes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from lbproto_compliance.sources import Row, Table

__all__ = ["COLUMNS", "arrays_of"]

COLUMNS: dict[Table, dict[str, str]] = {
    "transfers": {
        "height": "BIGINT",
        "timestamp": "TIMESTAMP",
        "tx_index": "INTEGER",
        "position": "INTEGER",
        "tx_hash": "VARCHAR",
        "sender": "VARCHAR",
        "receiver": "VARCHAR",
        "asset": "VARCHAR",
        "value": "VARCHAR",
    },
    "coins": {
        "height": "BIGINT",
        "timestamp": "TIMESTAMP",
        "tx_index": "INTEGER",
        "tx_hash": "VARCHAR",
        "side": "VARCHAR",
        "position": "INTEGER",
        "address": "VARCHAR",
        "value": "BIGINT",
        "prev_tx_hash": "VARCHAR",
        "prev_index": "BIGINT",
    },
    "attributions": {
        "address": "VARCHAR",
        "label": "VARCHAR",
        "category": "VARCHAR",
        "source": "VARCHAR",
        "source_url": "VARCHAR",
        "listed_on": "DATE",
        "confidence": "DOUBLE",
        "country": "VARCHAR",
        "entity": "VARCHAR",
    },
}
"""Names and types, in the order of the sources' rows."""

_NUMBERS = {"BIGINT": np.int64, "INTEGER": np.int32, "DOUBLE": np.float64}


def arrays_of(table: Table, rows: Sequence[Row]) -> dict[str, Any]:
    """Rows, at least one, as an array for each column, absent values masked or None."""
    columns = zip(*rows, strict=True)
    return {
        name: _array(values, kind)
        for (name, kind), values in zip(COLUMNS[table].items(), columns, strict=True)
    }


def _array(values: tuple[Any, ...], kind: str) -> Any:
    if kind == "TIMESTAMP":
        return np.array([_naive(value) for value in values], dtype="datetime64[us]")
    if kind == "DATE":
        return np.array(values, dtype="datetime64[D]").astype("datetime64[us]")
    if kind == "VARCHAR":
        return np.array(values, dtype=object)
    absent = [value is None for value in values]
    filled = [0 if value is None else value for value in values]
    return np.ma.MaskedArray(np.array(filled, dtype=_NUMBERS[kind]), mask=absent)


def _naive(moment: datetime) -> datetime:
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
