"""Queries for lbproto: untrusted SQL in a worker process, its rows streamed as they are made."""

from lbproto_query.bundled import bundled_catalogues
from lbproto_query.catalogues import Catalogue, Catalogues
from lbproto_query.duckdb_engine import DuckDBEngine
from lbproto_query.engines import (
    Column,
    Engine,
    Limits,
    Outcome,
    Progress,
    QueryRequest,
    Rows,
    Stream,
)

__all__ = [
    "Catalogue",
    "Catalogues",
    "Column",
    "DuckDBEngine",
    "Engine",
    "Limits",
    "Outcome",
    "Progress",
    "QueryRequest",
    "Rows",
    "Stream",
    "bundled_catalogues",
]
