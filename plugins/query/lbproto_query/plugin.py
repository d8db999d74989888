"""The plugin: a query is a job, its rows go out as the engine has encoded them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from lbproto import Encoded, Job, Plugin, Server
from lbproto_query.engines import Engine, Limits, Progress, QueryRequest, Stream
from lbproto_query.events import (
    JOBS,
    ColumnSchema,
    Query,
    QueryCompleted,
    QueryProgress,
    QueryResponse,
    QueryStarted,
)

__all__ = ["queries"]

_QUIET_MS = 200
"""A query that is done by then tells no progress."""


def queries(
    engine: Engine,
    *,
    limits: Limits = Limits(),  # noqa: B008 - it is immutable
    price: int | Callable[[Query], int | Awaitable[int]] | None = None,
    weight: int = 1,
) -> Plugin:
    """Queries of applications' own tables; `query` in the contract.

    Args:
        engine: runs them, as long as the server does.
        limits: what each may take.
        price: credits, as for `Plugin.job`.
        weight: against the server's limits, as for `Plugin.job`.
    """

    @asynccontextmanager
    async def running(_server: Server) -> AsyncIterator[None]:
        async with engine:
            yield

    plugin = Plugin("query", description="SQL over an application's own tables", lifespan=running)

    @plugin.job(Query, stages=JOBS[Query], price=price, weight=weight)
    async def query(job: Job[Query]) -> QueryCompleted:
        request = job.request
        await job.ctx.authorize(request.application_id)
        asked = QueryRequest(
            application_id=request.application_id,
            sql=request.sql,
            params=request.params,
            arrays=request.row_format == "arrays",
            msgpack=job.ctx.reads_msgpack,
            limits=limits,
            trace=job.ctx.trace,
        )
        async with engine.query(asked) as stream:
            await stream.described()  # whatever is refused is refused before it starts
            job.start(QueryStarted(query_id=job.id, estimated_ms=stream.estimated_ms))
            encoded = Encoded.of_msgpack if asked.msgpack else Encoded.of_json
            return await _send(job, stream, encoded)

    return plugin


async def _send(
    job: Job[Query], stream: Stream, encoded: Callable[[bytes], Encoded]
) -> QueryCompleted:
    schema: list[ColumnSchema] | None = None
    chunks = total = 0
    pct = 0.0
    async for part in stream:
        if isinstance(part, Progress):
            pct = part.pct
            if job.duration_ms >= _QUIET_MS:
                job.progress(QueryProgress(query_id=job.id, rows_processed=part.rows, pct=pct))
            continue
        if schema is None:
            schema = [
                ColumnSchema(each.name, each.type, each.nullable, each.wire)
                for each in stream.columns
            ]
        total += part.count
        chunks += 1
        if chunks > 1 or job.duration_ms >= _QUIET_MS:
            job.progress(QueryProgress(query_id=job.id, rows_processed=total, pct=pct))
        rows = encoded(part.data)
        await job.send(QueryResponse(query_id=job.id, rows=rows, schema=schema))
    outcome = stream.outcome
    assert outcome is not None  # noqa: S101 - it has been iterated over to its end
    return QueryCompleted(
        query_id=job.id,
        duration_ms=job.duration_ms,
        total_rows=outcome.rows,
        truncated=outcome.truncated,
    )
