"""What goes over the wire: one query, and the job that it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta, field

from lbproto import Encoded, ErrorEvent, Event, Model, Stages

__all__ = [
    "JOBS",
    "ColumnSchema",
    "Query",
    "QueryCompleted",
    "QueryError",
    "QueryProgress",
    "QueryResponse",
    "QueryStarted",
]


_ROWS = Meta(
    extra_json_schema={
        "description": "Each by the names of its columns, or in their order: see `rowFormat`.",
        "type": "array",
        "items": {"type": ["object", "array"]},
    }
)


class Query(Event):
    """Ask for the rows of one `SELECT` over the application's tables.

    `params` is a list for `?` and `$1`, or an object for `$name`. `rowFormat` (extension) `arrays`
    has rows as arrays in the order of the columns, not as objects.
    """

    sql: str
    params: list[Any] | dict[str, Any] = field(default_factory=list)
    application_id: Annotated[str, Meta(min_length=1, max_length=128)] = "default"
    row_format: Literal["objects", "arrays"] = "objects"


class QueryStarted(Event):
    """The query may be run and has begun; `cancel` takes its id."""

    query_id: str
    estimated_ms: int | None


class QueryProgress(Event):
    """How far the query is: rows read, as estimated, and then rows sent."""

    query_id: str
    rows_processed: int
    pct: float


class ColumnSchema(Model):
    """A column: its SQL type, and (extension) what its values are on the wire.

    `wire` is `boolean`, `number`, `string`, `array`, `object`, or `any` where that differs by row.
    Decimals, and integers of types that may pass 2^53, are strings.
    """

    name: str
    type: str
    nullable: bool
    wire: str


class QueryResponse(Event):
    """Some rows of the result, about 64 KiB; there is one at least, with none where it has none."""

    query_id: str
    rows: Annotated[Encoded, _ROWS]
    schema: list[ColumnSchema]


class QueryCompleted(Event):
    """The result is whole, or (extension) `truncated` at the most rows that a query may have."""

    query_id: str
    duration_ms: int
    total_rows: int
    truncated: bool = False


class QueryError(ErrorEvent):
    """The query was refused, or has failed, or was cancelled."""

    query_id: str


JOBS: Mapping[type[Event], Stages] = {
    Query: Stages(
        start=QueryStarted,
        progress=QueryProgress,
        output=QueryResponse,
        success=QueryCompleted,
        failure=QueryError,
        id="query_id",
    )
}
"""The jobs of this plugin, by request: what a `Client` follows them by."""
