"""The data that come with this package."""

from __future__ import annotations

from pathlib import Path

from lbproto import Plugin
from lbproto_query.catalogues import Catalogues
from lbproto_query.duckdb_engine import DuckDBEngine
from lbproto_query.plugin import queries

__all__ = ["bundled", "bundled_catalogues"]


def bundled() -> Plugin:
    """Queries of the data that come with this package, for trying out."""
    return queries(DuckDBEngine(bundled_catalogues()))


def bundled_catalogues() -> Catalogues:
    """The application `default` with the tables `trades` and `bitcoin_block`."""
    return Catalogues(Path(__file__).parent / "data")
