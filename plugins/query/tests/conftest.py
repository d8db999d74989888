from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest

from lbproto_query import Catalogues, DuckDBEngine, Limits, QueryRequest, Rows
from lbproto_query_worker.database import Database
from lbproto_query_worker.frames import Chunk, Column, Described, Ended, FromWorker, Open, Refused
from lbproto_query_worker.queries import Query


class Answer(NamedTuple):
    """What came of a query."""

    rows: list[Any]
    columns: tuple[Column, ...]
    truncated: bool


class Fails(Exception):
    """A query was refused with this code."""


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Catalogues: `shop` has all kinds of files, `bank` has a secret."""
    path = tmp_path_factory.mktemp("catalogues")
    (path / "shop").mkdir()
    (path / "bank").mkdir()
    with duckdb.connect() as connection:
        trades = "SELECT i::INTEGER AS i, i % 7 AS k, 'trade ' || i AS name FROM range(50000) t(i)"
        connection.execute(f"COPY ({trades}) TO '{path}/shop/trades.parquet'")
        connection.execute(f"COPY (SELECT 'gold' AS what) TO '{path}/bank/secret.parquet'")
        connection.execute(f"ATTACH '{path}/shop/orders.duckdb' AS orders")
        connection.execute("CREATE TABLE orders.main.orders AS SELECT 1 AS id, 2.5 AS price")
        connection.execute("CREATE VIEW orders.main.cheap AS FROM orders.main.orders")
    (path / "shop" / "people.csv").write_text("id,name\n1,Ada\n2,Bob\n")
    (path / "shop" / "notes.txt").write_text("no table")
    return path


@pytest.fixture(scope="session")
def new_engine(root: Path) -> Callable[..., DuckDBEngine]:
    """Makes engines for the catalogues of `root`."""

    def make(**settings: Any) -> DuckDBEngine:
        return DuckDBEngine(Catalogues(root), **settings)

    return make


@pytest.fixture(scope="session")
def database(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The catalogue `shop` as a worker has it, in this process."""
    files = [str(root / "shop" / name) for name in ("trades.parquet", "people.csv")]
    database = Database(files, tmp_path_factory.mktemp("worker"), 256 * 1024 * 1024, 2)
    yield database
    database.close()


Ask = Callable[..., Answer]


@pytest.fixture(scope="session")
def ask(database: Database) -> Ask:
    """Runs one query without an engine: its rows as arrays, or `Fails` with its code."""

    def run(sql: str, params: Any = (), seen: list[int] | None = None, **changes: Any) -> Answer:
        settings: dict[str, Any] = {
            "id": 1,
            "arrays": True,
            "msgpack": False,
            "seconds": 60,
            "patience": 60,
            "rows": 100_000,
            "row_bytes": 100_000,
            "chunk_bytes": 65536,
            "window": 1_000_000,
        }
        params = params if isinstance(params, dict) else list(params)
        said: list[FromWorker] = []
        Query(Open(sql=sql, params=params, **(settings | changes)), said.append).run(database)
        rows: list[Any] = []
        columns: tuple[Column, ...] = ()
        for message in said:
            if isinstance(message, Chunk):
                part = json.loads(message.data)
                assert len(part) == message.rows
                rows += part
                if seen is not None:
                    seen.append(len(message.data))
            elif isinstance(message, Described):
                columns = tuple(message.columns)
        last = said[-1]
        if isinstance(last, Refused):
            raise Fails(last.code, last.message)
        assert isinstance(last, Ended)
        assert last.rows == len(rows)
        return Answer(rows, columns, last.truncated)

    return run


async def fetch(
    engine: DuckDBEngine, sql: str, application_id: str = "shop", **more: Any
) -> Answer:
    """All of a query's rows."""
    limits = Limits(**{key: more.pop(key) for key in list(more) if key in Limits.__struct_fields__})
    request = QueryRequest(application_id=application_id, sql=sql, limits=limits, **more)
    rows: list[Any] = []
    async with engine.query(request) as stream:
        async for part in stream:
            if isinstance(part, Rows):
                rows += json.loads(part.data)
        assert stream.outcome is not None
        assert stream.outcome.rows == len(rows)
        return Answer(rows, stream.columns, stream.outcome.truncated)


Fetch = Callable[..., Any]


@pytest.fixture(scope="session", name="fetch")
def fetch_fixture() -> Fetch:
    return fetch


@pytest.fixture(scope="session")
def fails() -> type[Exception]:
    return Fails
