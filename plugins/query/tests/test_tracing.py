"""A query's worker as a span within its request's, whoever it was asked by."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from time import time_ns
from typing import Any

import anyio
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler

from lbproto import Admission, Event, Identity
from lbproto.telemetry import Telemetry
from lbproto.testing import connect, serve
from lbproto_query import DuckDBEngine, Query, QueryCompleted, QueryError, queries
from lbproto_query.estimates import Pace
from lbproto_query.hosts import ProcessHost
from lbproto_query.streams import WorkerStream
from lbproto_query_worker.frames import Ended, FromWorker, Traced

pytestmark = pytest.mark.anyio

NewEngine = Callable[..., DuckDBEngine]


def telemetry(sampler: Sampler = ALWAYS_ON) -> tuple[Telemetry, InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    tracers = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    return Telemetry(tracer_provider=tracers), exporter


async def may_ask(_identity: Identity, application_id: str) -> bool:
    return application_id == "shop"


async def run(engine: DuckDBEngine, sql: str, where: Telemetry) -> int | None:
    """Ask a server with such telemetry.

    Returns:
        The worker's process, if it has one.
    """
    admission = Admission(authorize=may_ask)
    async with serve(queries(engine), telemetry=where, admission=admission) as server:
        async with connect(server, "ada") as client:
            client.emit(Query(sql, application_id="shop"))
            told: list[Event] = []
            with anyio.fail_after(60):
                while not any(isinstance(each, (QueryCompleted, QueryError)) for each in told):
                    told += await client.take()
        (worker,) = engine._alive
        return worker.host.pid if isinstance(worker.host, ProcessHost) else None


async def test_what_a_worker_does_is_a_span_of_the_query(new_engine: NewEngine) -> None:
    where, exporter = telemetry()
    pid = await run(new_engine(), "SELECT i FROM trades WHERE i < 10", where)
    spans = {span.name: span for span in exporter.get_finished_spans()}
    worker, query = spans["query worker"], spans["query"]
    assert worker.parent == query.get_span_context()
    attributes = dict(worker.attributes or {})
    assert pid not in (None, os.getpid())
    assert attributes.pop("process.pid") == pid
    planned, waited = (attributes.pop(f"lbproto.query.{name}") for name in ("planned", "waited"))
    assert isinstance(planned, float)
    assert planned > 0
    assert waited == 0
    assert attributes == {"db.system.name": "duckdb", "db.response.returned_rows": 10}
    assert query.start_time is not None
    assert worker.start_time is not None
    assert worker.end_time is not None
    assert query.start_time < worker.start_time < worker.end_time


async def test_a_query_that_is_refused_is_one_with_its_code(new_engine: NewEngine) -> None:
    where, exporter = telemetry()
    await run(new_engine(isolated=False), "SELECT nothing FROM trades", where)
    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert dict(spans["query worker"].attributes or {})["error.type"] == "NOT_FOUND"
    assert "db.response.returned_rows" not in (spans["query worker"].attributes or {})
    assert not spans["query"].status.description


async def test_a_worker_of_a_query_that_is_not_recorded_tells_nothing(
    new_engine: NewEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[FromWorker] = []
    put = WorkerStream.put

    def hear(stream: WorkerStream, message: Any) -> None:
        heard.append(message)
        put(stream, message)

    monkeypatch.setattr(WorkerStream, "put", hear)
    where, exporter = telemetry(ALWAYS_OFF)
    await run(new_engine(isolated=False), "SELECT 1", where)
    assert exporter.get_finished_spans() == ()
    assert isinstance(heard[-1], Ended)
    assert not any(isinstance(message, Traced) for message in heard)


class Kept:
    """A trace that keeps what is added."""

    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    def __init__(self) -> None:
        self.added: list[tuple[int, int]] = []

    def add(self, name: str, began: int, ended: int, attributes: Mapping[str, object]) -> None:
        self.added.append((began, ended))


@pytest.mark.parametrize(
    ("began", "ended"), [(0, 2**63), (2**63, 0), (-(2**63), -(2**63)), (2**63, 2**64 - 1)]
)
def test_a_worker_cannot_say_that_it_worked_at_another_time(began: int, ended: int) -> None:
    trace = Kept()
    before = time_ns()
    stream = WorkerStream(None, Pace(), 1_000, lambda: None, 1.0, lambda: None, trace)
    stream.put(Traced(1, 2, began, ended, 0.0, 0.0))
    stream.put(Ended(1, 0, False, 0.0))
    ((first, last),) = trace.added
    assert before <= first <= last <= time_ns()
