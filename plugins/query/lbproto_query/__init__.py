"""Queries for lbproto: untrusted SQL in a worker process, its rows streamed as they are made."""

from lbproto_query.bundled import bundled, bundled_catalogues
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
from lbproto_query.events import (
    JOBS,
    ColumnSchema,
    Query,
    QueryCompleted,
    QueryError,
    QueryProgress,
    QueryResponse,
    QueryStarted,
)
from lbproto_query.plugin import queries

__all__ = [
    "JOBS",
    "Catalogue",
    "Catalogues",
    "Column",
    "ColumnSchema",
    "DuckDBEngine",
    "Engine",
    "Limits",
    "Outcome",
    "Progress",
    "Query",
    "QueryCompleted",
    "QueryError",
    "QueryProgress",
    "QueryRequest",
    "QueryResponse",
    "QueryStarted",
    "Rows",
    "Stream",
    "bundled",
    "bundled_catalogues",
    "queries",
]
