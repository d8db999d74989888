from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import msgspec
import pytest

from lbproto import (
    InvalidRequest,
    LimitExceeded,
    NotFound,
    Overloaded,
    RequestError,
    RequestTimeout,
    Unauthorized,
    UsageError,
)
from lbproto_query import Limits, QueryRequest, Rows
from lbproto_query.postgres_engine import PostgresEngine
from tests.ledger.servers import Postgres

Fetch = Callable[..., Any]

ENDLESS = "SELECT generate_series(1, 1000000000) AS i, 'x' AS x"

ACTIVE = "SELECT count(*) AS queries FROM pg_stat_activity WHERE state = 'active'"

HOSTILE: list[tuple[str, type[RequestError]]] = [
    ("INSERT INTO people VALUES (3, 'Eve')", Unauthorized),
    ("INSERT INTO people VALUES (3, 'Eve') RETURNING id", Unauthorized),
    ("DELETE FROM people", Unauthorized),
    ("WITH x AS (DELETE FROM people RETURNING id) SELECT * FROM x", Unauthorized),
    ("SELECT 1; DELETE FROM people", Unauthorized),
    ("SELECT 1) AS result (c0); DELETE FROM people; --", InvalidRequest),
    ("SELECT 1 AS a) AS result (c0), (SELECT 2", InvalidRequest),
    ("SELECT * INTO copied FROM people", Unauthorized),
    ("CREATE TABLE t (i int)", Unauthorized),
    ("DROP TABLE people", Unauthorized),
    ("COMMIT", Unauthorized),
    ("SET default_transaction_read_only = off", Unauthorized),
    ("SHOW data_directory", Unauthorized),
    ("EXPLAIN SELECT 1", Unauthorized),
    ("COPY people TO '/tmp/x'", Unauthorized),
    ("COPY people TO PROGRAM 'id'", Unauthorized),
    ("DO 'BEGIN END'", Unauthorized),
    ("LOCK TABLE people", Unauthorized),
    ("SELECT pg_read_file('/etc/passwd')", Unauthorized),
    ("SELECT * FROM pg_ls_dir('/')", Unauthorized),
    ("SELECT * FROM secret", Unauthorized),
    ("SELECT nextval('counter')", Unauthorized),
    ("SELECT set_config('transaction_read_only', 'off', true)", Unauthorized),
    ("SELECT * FROM nothing", NotFound),
    ("SELECT nothing FROM people", NotFound),
    ("SELECT nothing(1)", NotFound),
    ("SELEC 1", InvalidRequest),
    ("", Unauthorized),
    ("SELECT 'a'::int", InvalidRequest),
    ("SELECT 1 / 0", InvalidRequest),
    ("SELECT $1::int", InvalidRequest),
    ("SELECT repeat('x', 1000000)", LimitExceeded),
    ("SELECT repeat('x', 5000000) FROM generate_series(1, 5)", LimitExceeded),
    ("SELECT pg_sleep(100)", RequestTimeout),
    ("SELECT set_config('statement_timeout', '0', false), pg_sleep(100)", RequestTimeout),
]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A role that may read one table."""
    server = Postgres()
    for sql in (
        "CREATE TABLE people (id int, name text)",
        "INSERT INTO people VALUES (1, 'Ada'), (2, 'Bob')",
        "CREATE TABLE secret (what text)",
        "CREATE SEQUENCE counter",
        "CREATE ROLE reader LOGIN",
        "GRANT SELECT ON people TO reader",
        "GRANT USAGE ON counter TO reader",
        "GRANT INSERT, DELETE ON people TO reader",  # which it may not use here
    ):
        server.ask(sql, "public")
    yield server.url.replace("postgres@", "reader@", 1)
    server.stop()


@pytest.mark.anyio
async def test_rows(url: str, fetch: Fetch) -> None:
    async with PostgresEngine({"shop": url}) as engine:
        answer = await fetch(engine, "SELECT name FROM people WHERE id = $1;", params=[2])
        assert answer.rows == [{"name": "Bob"}]
        assert answer.columns == (msgspec.structs.replace(answer.columns[0], name="name"),)
        assert (await fetch(engine, "SELECT 1 AS a, 2 AS a")).rows == [{"a": 1, "a_2": 2}]
        empty = await fetch(engine, "SELECT id FROM people WHERE false")
        assert (empty.rows, empty.columns[0].type) == ([], "int4")
        limited = await fetch(engine, ENDLESS, rows=20_000, arrays=True)
        assert limited.rows == [[i, "x"] for i in range(1, 20_001)]
        assert limited.truncated
        many = "SELECT " + ", ".join(f"{i} AS c{i}" for i in range(300))
        assert (await fetch(engine, many, arrays=True)).rows == [list(range(300))]
        request = QueryRequest(application_id="shop", sql="SELECT 1 AS a", msgpack=True)
        async with engine.query(request) as stream:
            assert isinstance(stream.estimated_ms, int | None)
            (part,) = [part async for part in stream]
            assert isinstance(part, Rows)
            assert msgspec.msgpack.decode(part.data) == [{"a": 1}]


@pytest.mark.anyio
async def test_values(url: str, fetch: Fetch) -> None:
    sql = """
    SELECT true, 1::int2, 2::int4, 3::int8, 1.50::numeric, 'NaN'::numeric, 0.1::float8,
        'Infinity'::float4, 'é', '\\x00ff'::bytea, timestamptz '2026-01-20 12:00:00.5+02',
        timestamp 'infinity', date '2026-01-20', interval '1 hour', '{"a": 1}'::jsonb,
        ARRAY[1, NULL], ARRAY['x'], ARRAY[1.5], NULL
    """
    async with PostgresEngine({"shop": url}) as engine:
        (row,) = (await fetch(engine, sql, arrays=True)).rows
    assert row == [
        *(True, 1, 2, "3", "1.50", None, 0.1, None, "é", "AP8=", "2026-01-20T10:00:00.500Z"),
        *(None, "2026-01-20", "01:00:00", '{"a": 1}', [1, None], ["x"], "{1.5}", None),
    ]


@pytest.mark.anyio
async def test_hostile_statements(url: str, fetch: Fetch) -> None:
    async with PostgresEngine({"shop": url}) as engine:
        wrong = []
        for sql, expected in HOSTILE:
            seconds = 0.5 if expected is RequestTimeout else 30  # the others do not need it
            with pytest.raises(RequestError) as refused:
                await fetch(engine, sql, seconds=seconds, row_bytes=100_000)
            if type(refused.value) is not expected:
                wrong.append((sql, refused.value))
        assert wrong == []
        assert len((await fetch(engine, "SELECT * FROM people")).rows) == 2


@pytest.mark.anyio
async def test_cancelled_and_too_many(url: str, fetch: Fetch) -> None:
    slow = QueryRequest(application_id="shop", sql="SELECT pg_sleep(100)")
    async with PostgresEngine({"shop": url}, queries=1) as engine:
        for sql in (slow.sql, ENDLESS):
            request = QueryRequest(application_id="shop", sql=sql)
            async with engine.query(request) as stream:
                with anyio.move_on_after(0.1):
                    async for _ in stream:
                        pass
                with pytest.raises(Overloaded):
                    await fetch(engine, "SELECT 1")
            assert (await fetch(engine, ACTIVE)).rows == [{"queries": "1"}]  # which is this one
        assert (await fetch(engine, "SELECT 1 AS x")).rows == [{"x": 1}]
        with pytest.raises(NotFound):
            await fetch(engine, "SELECT 1", "bank")
        with pytest.raises(InvalidRequest):
            await fetch(engine, "SELECT $x", params={"x": 1})
    with pytest.raises(UsageError):
        await fetch(engine, "SELECT 1")


@pytest.mark.anyio
async def test_a_server_that_is_not_there(fetch: Fetch) -> None:
    async with PostgresEngine({"shop": "postgresql://x@127.0.0.1:1/x"}) as engine:
        with pytest.raises(Overloaded):
            await fetch(engine, "SELECT 1")


@pytest.mark.anyio
async def test_rows_come_as_they_are_asked_for(url: str) -> None:
    request = QueryRequest(application_id="shop", sql=ENDLESS, limits=Limits(seconds=60))
    async with PostgresEngine({"shop": url}) as engine, engine.query(request) as stream:
        part = await anext(stream)
        assert isinstance(part, Rows)
        assert len(json.loads(part.data)) == part.count
        assert len(part.data) < 200_000
