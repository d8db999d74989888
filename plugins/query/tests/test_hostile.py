from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from lbproto import RequestError
from lbproto_query import DuckDBEngine, Limits, QueryRequest, Rows

# Statements that nobody may run, each with the code that it is refused with.
UNAUTHORIZED, NOT_FOUND, INVALID, LIMIT, TIMEOUT = (
    "UNAUTHORIZED",
    "NOT_FOUND",
    "INVALID_REQUEST",
    "LIMIT_EXCEEDED",
    "TIMEOUT",
)

HOSTILE: list[tuple[str, str]] = [
    # Writes
    ("INSERT INTO people VALUES (3, 'Eve')", UNAUTHORIZED),
    ("UPDATE people SET name = 'Eve'", UNAUTHORIZED),
    ("DELETE FROM people", UNAUTHORIZED),
    ("TRUNCATE people", UNAUTHORIZED),
    ("MERGE INTO people USING people AS p ON true WHEN MATCHED THEN DELETE", UNAUTHORIZED),
    ("CREATE TABLE t AS SELECT 1", UNAUTHORIZED),
    ("CREATE TEMP TABLE t AS SELECT 1", UNAUTHORIZED),
    ("CREATE OR REPLACE VIEW people AS SELECT 1", UNAUTHORIZED),
    ("CREATE MACRO f() AS 1", UNAUTHORIZED),
    ("CREATE TYPE t AS ENUM ('a')", UNAUTHORIZED),
    ("CREATE SECRET s (TYPE s3, KEY_ID 'a', SECRET 'b')", UNAUTHORIZED),
    ("DROP TABLE people", UNAUTHORIZED),
    ("ALTER TABLE people ADD COLUMN x INTEGER", UNAUTHORIZED),
    ("WITH x AS (INSERT INTO people VALUES (3, 'Eve') RETURNING *) FROM x", UNAUTHORIZED),
    ("WITH x AS (DELETE FROM people RETURNING *) FROM x", UNAUTHORIZED),
    ("WITH x AS (UPDATE people SET id = 9 RETURNING *) FROM x", UNAUTHORIZED),
    # Several statements, and what is none that reads
    ("SELECT 1; SELECT 2", UNAUTHORIZED),
    ("SELECT 1; DROP TABLE people", UNAUTHORIZED),
    ("SELECT 1) AS x; DROP TABLE people; --", INVALID),
    ("SELECT 1) AS x (c0), (SELECT 2", INVALID),
    ("BEGIN TRANSACTION", UNAUTHORIZED),
    ("ROLLBACK", UNAUTHORIZED),
    ("PREPARE p AS SELECT 1", UNAUTHORIZED),
    ("EXPLAIN ANALYZE SELECT 1", UNAUTHORIZED),
    ("CALL pragma_version()", UNAUTHORIZED),
    ("VACUUM", UNAUTHORIZED),
    ("CHECKPOINT", UNAUTHORIZED),
    # Settings
    ("SET memory_limit = '100GB'", UNAUTHORIZED),
    ("SET enable_progress_bar_print = true", UNAUTHORIZED),
    ("SET VARIABLE x = 1", UNAUTHORIZED),
    ("RESET threads", UNAUTHORIZED),
    ("PRAGMA threads = 64", UNAUTHORIZED),
    ("PRAGMA database_list", UNAUTHORIZED),
    ("USE file0", UNAUTHORIZED),
    # Files and addresses
    ("SELECT * FROM '/etc/passwd'", UNAUTHORIZED),
    ("SELECT * FROM 'people.csv'", UNAUTHORIZED),
    ("SELECT * FROM 'https://example.com/a.parquet'", UNAUTHORIZED),
    ("SELECT * FROM read_csv('/etc/passwd')", UNAUTHORIZED),
    ("SELECT * FROM read_text('/proc/self/environ')", UNAUTHORIZED),
    ("SELECT * FROM read_blob('/etc/shadow')", UNAUTHORIZED),
    ("SELECT * FROM parquet_scan('../bank/secret.parquet')", UNAUTHORIZED),
    ("SELECT * FROM parquet_metadata('trades.parquet')", UNAUTHORIZED),
    ("SELECT * FROM glob('/*')", UNAUTHORIZED),
    ("SELECT (SELECT content FROM read_text('/etc/passwd'))", UNAUTHORIZED),
    ("COPY people TO '/nowhere/x.csv'", UNAUTHORIZED),
    ("COPY people FROM '/etc/passwd'", UNAUTHORIZED),
    ("EXPORT DATABASE '/nowhere/x'", UNAUTHORIZED),
    ("IMPORT DATABASE '/nowhere/x'", UNAUTHORIZED),
    ("ATTACH '/nowhere/x.duckdb' AS x", UNAUTHORIZED),
    ("DETACH file0", UNAUTHORIZED),
    ("INSTALL httpfs", UNAUTHORIZED),
    ("LOAD httpfs", UNAUTHORIZED),
    # What tells of the process and the database, or runs text
    ("SELECT getenv('HOME')", UNAUTHORIZED),
    ("SELECT current_setting('temp_directory')", UNAUTHORIZED),
    ("SELECT getvariable('x')", UNAUTHORIZED),
    ("SELECT current_query()", UNAUTHORIZED),
    ("SELECT version()", UNAUTHORIZED),
    ("SELECT * FROM duckdb_settings()", UNAUTHORIZED),
    ("SELECT * FROM duckdb_databases()", UNAUTHORIZED),
    ("SELECT * FROM duckdb_secrets()", UNAUTHORIZED),
    ("SELECT * FROM pragma_database_size()", UNAUTHORIZED),
    ("SELECT * FROM query('SELECT 1')", UNAUTHORIZED),
    ("SELECT * FROM query_table('people')", UNAUTHORIZED),
    ("SELECT * FROM json_execute_serialized_sql('{}')", UNAUTHORIZED),
    ("SELECT nextval('s')", UNAUTHORIZED),
    ("SELECT write_log('x')", UNAUTHORIZED),
    ("SELECT sleep_ms(100000)", UNAUTHORIZED),
    ("SELECT main.lower('X')", UNAUTHORIZED),
    ("SELECT DEFAULT", UNAUTHORIZED),  # of a class that is not known
    ("FROM repeat('x', 3)", UNAUTHORIZED),  # a function of the list, but not as a table
    ("SELECT count(*) FILTER (version() = 'x') FROM people", UNAUTHORIZED),
    ("SELECT 1 ORDER BY current_setting('threads')", UNAUTHORIZED),
    ("SELECT 1 LIMIT (SELECT length(version()))", UNAUTHORIZED),
    ("SELECT list_transform([1], lambda x: version())", UNAUTHORIZED),
    ("SHOW DATABASES", UNAUTHORIZED),
    ("DESCRIBE people", UNAUTHORIZED),
    ("SUMMARIZE people", UNAUTHORIZED),
    ("SELECT current_database()", UNAUTHORIZED),
    ("SELECT current_schemas(true)", UNAUTHORIZED),
    ("SELECT pg_backend_pid()", UNAUTHORIZED),
    ("SELECT txid_current()", UNAUTHORIZED),
    ("PIVOT (FROM people) ON id USING count(*)", UNAUTHORIZED),
    ("SELECT 1 -- \r\n; DROP TABLE people", UNAUTHORIZED),
    ("SELECT 1 \0 ; SELECT 2", UNAUTHORIZED),
    # What ends DuckDB's process by going too deep
    ("SELECT json_transform('1', repeat('[', 200000))", UNAUTHORIZED),
    ("SELECT from_json('1', $1)", UNAUTHORIZED),
    ("SELECT from_json('1', E'" + "\\x5b" * 10000 + "')", LIMIT),
    (
        "SELECT (repeat('{\"a\":', 100000) || '1' || repeat('}', 100000))::JSON::VARIANT",
        UNAUTHORIZED,
    ),
    ('SELECT NULL::STRUCT(a "Variant"[])', UNAUTHORIZED),
    # Tables that are not the application's
    ("SELECT * FROM secret", NOT_FOUND),
    ("SELECT * FROM duckdb_settings", NOT_FOUND),
    ("SELECT * FROM sqlite_master", NOT_FOUND),
    ("SELECT * FROM information_schema.tables", NOT_FOUND),
    ("SELECT * FROM pg_catalog.pg_settings", NOT_FOUND),
    ("SELECT * FROM file0.main.orders", NOT_FOUND),
    ("WITH duckdb_logs AS (FROM duckdb_logs) FROM duckdb_logs", NOT_FOUND),
    ("SELECT (WITH duckdb_logs AS (SELECT 1) FROM duckdb_logs) FROM duckdb_logs", NOT_FOUND),
    ("WITH duc\u212adb_logs AS (SELECT 1) FROM duckdb_logs", NOT_FOUND),  # a sign for kelvin
    ("WITH RECURSIVE duckdb_logs AS (FROM duckdb_logs UNION ALL SELECT 1) SELECT 1", NOT_FOUND),
    ("WITH a AS (WITH duckdb_logs AS (SELECT 1) FROM duckdb_logs) FROM a, duckdb_logs", NOT_FOUND),
    ("SELECT nothing FROM people", NOT_FOUND),
    ("SELECT p.nothing FROM people p", NOT_FOUND),
    ("SELECT 1::main.nothing", NOT_FOUND),
    ("SELECT 1::main.integer", NOT_FOUND),
    ("SELECT filename FROM trades", NOT_FOUND),
    ("SELECT file_row_number FROM trades", NOT_FOUND),
    ("SELECT tableoid FROM people", NOT_FOUND),
    ("FROM people AT (VERSION => 1)", NOT_FOUND),
    # Nonsense
    ("", INVALID),
    ("SELEC 1", INVALID),
    ("SELECT 'a", INVALID),
    ("SELECT ?", INVALID),
    ("SELECT 'a'::INTEGER", INVALID),
    ("\0", INVALID),
    ("SELECT 1 LIMIT 18446744073709551615", INVALID),
    ("SELECT 'a'::ENUM (SELECT version())", INVALID),
    ("SELECT timezone('nowhere', now())", INVALID),
    ("SELECT range(1000000000000)", INVALID),
    ("FROM range(0, 10, 0)", INVALID),
    ("SELECT 1 USING SAMPLE reservoir(1000000000000 ROWS)", INVALID),
    ("SELECT factorial(100000)", INVALID),
    ("SELECT (-9223372036854775808)::BIGINT * -1", INVALID),
    ("SELECT 1 -- \x00 \n, (", INVALID),
    ("SELECT COLUMNS('(((((a+)+)+)+)+)$') FROM people", INVALID),
    # Too much
    ("SELECT " + "(" * 5000 + "1" + ")" * 5000, LIMIT),
    ("SELECT " + "+".join(["1"] * 20000), LIMIT),
    ("SELECT a" + ".a" * 20000, LIMIT),
    ("SELECT " + ",".join(["1"] * 5000), LIMIT),
    ("SELECT '" + "x" * 70000 + "'", LIMIT),
    ("SELECT repeat('x', 3000000000)", LIMIT),
    ("SELECT repeat('x', 1000000)", LIMIT),
    ("SELECT length(string_agg(repeat('x', 1000), '')) FROM range(5000000)", LIMIT),
    ("SELECT max(x) FROM (SELECT list(range) AS x FROM range(100000000))", LIMIT),
    ("SELECT NULL::INTEGER[100000][100000]", LIMIT),
    ("SELECT printf('%2000000000d', 1)", LIMIT),
    ("SELECT format('{:>2000000000}', 1)", LIMIT),
    ("SELECT array_resize([1], 4000000000)", LIMIT),
    ("SELECT unnest(range(1000000000))", LIMIT),
    ("SELECT levenshtein(repeat('a', 300000), repeat('b', 300000))", TIMEOUT),
    (
        "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range + b.range < 0",
        TIMEOUT,
    ),
    (
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r",
        TIMEOUT,
    ),
]


# Paths, names of our own database, positions in a text that is not the client's.
_LEAK = re.compile(r"/|catalogue\.duckdb|LINE \d")


def _seen(root: Path) -> dict[str, bytes]:
    return {str(each): each.read_bytes() for each in sorted(root.rglob("*")) if each.is_file()}


def _pids(engine: DuckDBEngine) -> dict[str, int]:
    return {name: worker.host.pid for name, worker in engine._workers.items()}  # type: ignore[attr-defined]


async def _drain(engine: DuckDBEngine, sql: str, code: str) -> None:
    limits = Limits(seconds=0.5 if code == "TIMEOUT" else 30)  # the others do not need it
    request = QueryRequest(application_id="shop", sql=sql, limits=limits)
    async with engine.query(request) as stream:
        async for _ in stream:
            pass


@pytest.fixture
def anyio_backend() -> str:
    """One event loop: statements are looked at, and refused, in the worker."""
    return "asyncio"


@pytest.mark.anyio
async def test_hostile_statements(new_engine: Callable[..., DuckDBEngine], root: Path) -> None:
    before = _seen(root)
    async with new_engine(memory=256 * 1024 * 1024) as engine:
        endless = QueryRequest(
            application_id="bank", sql="SELECT range FROM range(1000000000)", arrays=True
        )
        async with engine.query(endless) as other:  # another application goes on meanwhile
            await _drain(engine, "SELECT 1", "")
            first = _pids(engine)
            wrong = []
            rows = 0
            for sql, code in HOSTILE:
                with pytest.raises(RequestError) as refused:
                    await _drain(engine, sql, code)
                error = refused.value
                if error.code != code or _LEAK.search(error.message) or len(error.message) > 400:
                    wrong.append((sql, code, error))
                part = await anext(other)
                rows += part.count if isinstance(part, Rows) else 0
        assert wrong == []
        assert rows
        assert _pids(engine) == first  # no worker has ended, or had to be killed
    assert _seen(root) == before
