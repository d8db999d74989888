"""The query engine as answers use it: one statement, and a result that is kept whole."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from lbproto_query import Engine, Limits, QueryRequest, Rows

__all__ = ["LIMITS", "Result", "columns_of", "run"]

LIMITS = Limits(seconds=10.0, rows=1_000, row_bytes=64 * 1024)
"""What a query for an answer may take where nothing else is said; what it gives is kept whole."""


class Result(NamedTuple):
    """A result: names of columns, rows as arrays, and whether there were more."""

    columns: list[str]
    rows: list[list[Any]]
    is_cut: bool


async def run(engine: Engine, application_id: str, sql: str, limits: Limits) -> Result:
    """Run one statement by the engine's guard and limits.

    Args:
        limits: of the query; its rows are all kept in memory.

    Raises:
        RequestError: as the engine does.
    """
    request = QueryRequest(application_id=application_id, sql=sql, arrays=True, limits=limits)
    rows: list[list[Any]] = []
    async with engine.query(request) as stream:
        async for part in stream:
            if isinstance(part, Rows):
                rows += msgspec.json.decode(part.data, type=list[list[Any]])
        columns = [column.name for column in stream.columns]
        is_cut = stream.outcome is not None and stream.outcome.truncated
    return Result(columns, rows, is_cut)


async def columns_of(engine: Engine, application_id: str, table: str) -> dict[str, str]:
    """The columns of a table, each with its SQL type.

    Raises:
        RequestError: as the engine does: `NotFound` where there is no such table.
    """
    name = table.replace('"', '""')
    request = QueryRequest(
        application_id=application_id,
        sql=f'SELECT * FROM "{name}" LIMIT 0',  # noqa: S608 - it is quoted, and guarded
    )
    async with engine.query(request) as stream:
        await stream.described()
        return {column.name: column.type for column in stream.columns}
