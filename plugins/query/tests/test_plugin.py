"""Queries as clients ask them: by the contract's events, on every wire."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import entry_points
from typing import Any

import anyio
import pytest

from lbproto import Admission, Event, Identity, Plugin, Server
from lbproto.ledger.memory import MemoryLedger
from lbproto.messages import Cancel, CreditsInsufficient, ValidationError
from lbproto.testing import Client, connect
from lbproto.testing import serve as serve_plugins
from lbproto_query import (
    ColumnSchema,
    DuckDBEngine,
    Limits,
    Query,
    QueryCompleted,
    QueryError,
    QueryProgress,
    QueryResponse,
    QueryStarted,
    queries,
)
from lbproto_query.hosts import ProcessHost

pytestmark = pytest.mark.anyio

NewEngine = Callable[..., DuckDBEngine]
ENDS = (QueryCompleted, QueryError, ValidationError, CreditsInsufficient)
ENDLESS = "SELECT count(*) FROM range(10000000) a, range(10000000) b"
MANY = "SELECT i::INTEGER AS i, 'row ' || i AS name FROM range(60000) t(i)"


@asynccontextmanager
async def serving(engine: DuckDBEngine, **options: Any) -> AsyncIterator[Server]:
    """A server of one application's queries."""

    async def authorize(_identity: Identity, application_id: str) -> bool:
        return application_id in ("shop", "nowhere")

    policy = {name: options.pop(name) for name in ("limits", "price") if name in options}
    options |= {"admission": Admission(authorize=authorize)}
    async with serve_plugins(queries(engine, **policy), **options) as server:
        yield server


async def until(client: Client, *ends: type[Event]) -> list[Event]:
    """What comes, up to one of these events."""
    told: list[Event] = []
    with anyio.fail_after(60):
        while not any(isinstance(event, ends or ENDS) for event in told):
            told += await client.take()
            await anyio.sleep(0.005)
    return told


async def asked(client: Client, sql: str, **more: Any) -> list[Event]:
    """Everything that comes of a query."""
    client.emit(Query(sql=sql, application_id="shop", **more))
    return await until(client)


async def test_a_short_query_is_told_in_three_events(new_engine: NewEngine) -> None:
    sql = "SELECT i, name FROM trades WHERE i < $1 ORDER BY i"
    async with serving(new_engine(isolated=False)) as server, connect(server, "ada") as client:
        started, response, completed = await asked(client, sql, params=[2])
    assert isinstance(started, QueryStarted)
    assert started.estimated_ms is None
    assert isinstance(response, QueryResponse)
    assert response.rows.value == [{"i": 0, "name": "trade 0"}, {"i": 1, "name": "trade 1"}]
    assert response.schema == [
        ColumnSchema(name="i", type="INTEGER", nullable=False, wire="number"),
        ColumnSchema(name="name", type="VARCHAR", nullable=False, wire="string"),
    ]
    assert isinstance(completed, QueryCompleted)
    assert (completed.total_rows, completed.truncated) == (2, False)
    assert started.query_id == response.query_id == completed.query_id


@pytest.mark.parametrize(
    "wire", ["socketio-json", "socketio-msgpack", "plain-json", "plain-msgpack"]
)
async def test_every_wire_reads_the_rows(new_engine: NewEngine, wire: Any) -> None:
    async with (
        serving(new_engine(isolated=False)) as server,
        connect(server, "ada", wire=wire) as client,
    ):
        _, response, _ = await asked(client, "SELECT 1.5 AS a, NULL AS b", row_format="arrays")
    assert isinstance(response, QueryResponse)
    assert response.rows.value == [["1.5", None]]


async def test_a_result_without_rows_has_a_schema(new_engine: NewEngine) -> None:
    async with serving(new_engine(isolated=False)) as server, connect(server, "ada") as client:
        _, response, completed = await asked(client, "SELECT i FROM trades WHERE i < 0")
    assert isinstance(response, QueryResponse)
    assert response.rows.value == []
    assert [column.name for column in response.schema] == ["i"]
    assert isinstance(completed, QueryCompleted)
    assert completed.total_rows == 0


async def test_a_large_result_comes_in_chunks_with_progress(new_engine: NewEngine) -> None:
    async with serving(new_engine()) as server, connect(server, "ada") as client:
        told = await asked(client, MANY)
    responses = [event for event in told if isinstance(event, QueryResponse)]
    rows = [row for response in responses for row in response.rows.value]
    assert [row["i"] for row in rows] == list(range(60_000))
    assert len(responses) > 20
    assert max(len(response.rows.json) for response in responses) < 100_000
    progress = [event for event in told if isinstance(event, QueryProgress)]
    assert progress
    assert progress == sorted(progress, key=lambda event: (event.pct, event.rows_processed))
    assert isinstance(told[-1], QueryCompleted)
    assert told[-1].total_rows == 60_000


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELEC 1", "INVALID_REQUEST"),
        ("SELECT 1; SELECT 2", "UNAUTHORIZED"),
        ("DROP TABLE trades", "UNAUTHORIZED"),
        ("SELECT * FROM read_csv('/etc/passwd')", "UNAUTHORIZED"),
        ("SELECT * FROM nothing", "NOT_FOUND"),
        ("SELECT nothing FROM trades", "NOT_FOUND"),
        ("x" * 70_000, "LIMIT_EXCEEDED"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_a_query_that_is_refused_is_never_started(
    new_engine: NewEngine, sql: str, code: str
) -> None:
    async with serving(new_engine(isolated=False)) as server, connect(server, "ada") as client:
        (error,) = await asked(client, sql)
    assert isinstance(error, QueryError)
    assert error.code == code


@pytest.mark.parametrize(
    ("application_id", "code"), [("bank", "UNAUTHORIZED"), ("nowhere", "NOT_FOUND")]
)
async def test_other_applications_are_not_there(
    new_engine: NewEngine, application_id: str, code: str
) -> None:
    async with serving(new_engine(isolated=False)) as server, connect(server, "ada") as client:
        client.emit(Query(sql="SELECT 1", application_id=application_id))
        (error,) = await until(client)
    assert isinstance(error, QueryError)
    assert error.code == code


@pytest.mark.parametrize(
    "payload", [{}, {"sql": 5}, {"sql": "SELECT 1", "params": 5}, {"sql": "", "rowFormat": "x"}]
)
async def test_what_is_no_query(new_engine: NewEngine, payload: dict[str, Any]) -> None:
    async with serving(new_engine(isolated=False)) as server, connect(server, "ada") as client:
        client.emit({"event": "query", "data": payload})
        (error,) = await until(client)
    assert isinstance(error, ValidationError)


async def test_one_that_fails_on_its_values_fails_after_its_start(new_engine: NewEngine) -> None:
    async with serving(new_engine(isolated=False)) as server, connect(server, "ada") as client:
        told = await asked(client, "SELECT CAST(name AS INTEGER) FROM trades")
    assert [type(event) for event in told] == [QueryStarted, QueryError]


async def test_what_is_more_than_a_query_may_have_is_left_out(new_engine: NewEngine) -> None:
    limits = Limits(rows=1_000)
    async with (
        serving(new_engine(isolated=False), limits=limits) as server,
        connect(server, "ada") as client,
    ):
        told = await asked(client, MANY)
    assert isinstance(told[-1], QueryCompleted)
    assert (told[-1].total_rows, told[-1].truncated) == (1_000, True)


async def test_cancelled_it_ends_at_once_and_the_engine_stops(new_engine: NewEngine) -> None:
    engine = new_engine()
    async with serving(engine) as server, connect(server, "ada") as client:
        client.emit(Query(sql=ENDLESS, application_id="shop"))
        (*_, started) = await until(client, QueryStarted)
        assert isinstance(started, QueryStarted)
        client.emit(Cancel(id=started.query_id))
        (*_, error) = await until(client, QueryError)
        assert isinstance(error, QueryError)
        assert error.code == "CANCELLED"
        told = await asked(client, "SELECT 1 AS one")
        assert isinstance(told[-1], QueryCompleted)
        assert server.statistics().jobs == 0


async def test_a_killed_worker_is_one_error_and_the_next_query_works(
    new_engine: NewEngine,
) -> None:
    engine = new_engine()
    async with serving(engine) as server, connect(server, "ada") as client:
        client.emit(Query(sql=ENDLESS, application_id="shop"))
        await until(client, QueryStarted)
        (worker,) = engine._alive
        assert isinstance(worker.host, ProcessHost)
        assert worker.host.pid is not None
        os.kill(worker.host.pid, signal.SIGKILL)
        told = await until(client)
        assert isinstance(told[-1], QueryError)
        assert told[-1].code.retryable
        told = await asked(client, "SELECT 1 AS one")
        assert isinstance(told[-1], QueryCompleted)
        assert not any(isinstance(event, QueryError) for event in told)


async def test_a_price(new_engine: NewEngine) -> None:
    options = {"price": lambda query: len(query.sql), "credits": MemoryLedger()}
    async with (
        serving(new_engine(isolated=False), **options) as server,
        connect(server, "ada") as client,
    ):
        (refused,) = await asked(client, "SELECT 1")
        assert isinstance(refused, CreditsInsufficient)
        await server.credits.grant("ada", 100, "a gift", application_id="shop")
        await client.take()
        for sql, end in (("SELECT 1", QueryCompleted), ("SELEC 12345", QueryError)):
            assert any(isinstance(event, end) for event in await asked(client, sql))
        assert (await server.credits.balance("ada", "shop")).available == 92


def test_it_is_found_by_its_entry_point() -> None:
    (entry,) = [each for each in entry_points(group="lbproto.plugins") if each.name == "query"]
    assert isinstance(entry.load()(), Plugin)
