"""What stands behind the guard, each layer by itself: the guard is not asked here.

A statement is run as a query is, on a cursor of its own, so that what refuses it is DuckDB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lbproto_query_worker.database import Database

MEMORY = 64 * 1024 * 1024

Run = Callable[..., list[Any]]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files")
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT 1 AS i) TO '{path}/trades.parquet'")
        connection.execute(f"COPY (SELECT 'gold' AS what) TO '{path}/secret.parquet'")
        connection.execute(f"ATTACH '{path}/orders.duckdb' AS orders")
        connection.execute("CREATE TABLE orders.main.orders AS SELECT 1 AS id")
    return path


def _database(files: Path, folder: Path) -> Database:
    names = [str(files / name) for name in ("trades.parquet", "orders.duckdb")]
    return Database(names, folder, MEMORY, 2)


def _run(database: Database, *statements: str) -> list[Any]:
    """Run statements on one cursor; the rows of the last."""
    cursor = database.cursor()
    try:
        for each in statements:
            cursor.execute(each)
        return cursor.fetchall()
    finally:
        cursor.close()


@pytest.fixture(scope="module")
def opened(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = _database(files, tmp_path_factory.mktemp("worker"))
    yield database
    database.close()


@pytest.fixture(scope="module")
def run(opened: Database) -> Run:
    return lambda *statements: _run(opened, *statements)


def test_the_catalogue_is_there(run: Run) -> None:
    assert run("SELECT i, id FROM trades, orders") == [(1, 1)]


@pytest.mark.parametrize(
    "statement",
    [
        "SET lock_configuration = false",
        "SET enable_external_access = true",
        "SET allowed_paths = ['/etc/passwd']",
        "SET allowed_configs = ['threads']",
        "SET memory_limit = '1TB'",
        "SET threads = 64",
        "SET max_expression_depth = 100000",
        "SET temp_directory = '/tmp'",
        "RESET memory_limit",
    ],
)
def test_settings_are_locked(run: Run, statement: str) -> None:
    with pytest.raises(duckdb.InvalidInputException, match="locked"):
        run(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "FROM read_text('/etc/passwd')",
        "FROM read_blob('/proc/self/environ')",
        "FROM '@/secret.parquet'",
        "FROM '@/../*/secret.parquet'",
        "FROM glob('@/*')",
        "COPY (SELECT 1) TO '@/new.csv'",
        "COPY (SELECT 1) TO '@/trades.parquet'",
        "EXPORT DATABASE '@/new'",
        "ATTACH '@/new.duckdb' AS new",
        "INSTALL httpfs",
        "LOAD httpfs",
    ],
)
def test_no_other_file_is_touched(run: Run, files: Path, statement: str) -> None:
    before = {each: each.read_bytes() for each in files.iterdir()}
    with pytest.raises(duckdb.PermissionException, match="disabled"):
        run("ROLLBACK", statement.replace("@", str(files)))
    assert {each: each.read_bytes() for each in files.iterdir()} == before


WRITES = [
    "CREATE TABLE main.new AS SELECT 1",
    "DROP VIEW main.trades",
    "CREATE TABLE file0.main.new AS SELECT 1",
    "INSERT INTO file0.main.orders VALUES (2)",
]


@pytest.mark.parametrize("statement", WRITES)
def test_what_is_open_is_open_to_be_read(run: Run, statement: str) -> None:
    with pytest.raises(duckdb.InvalidInputException, match="attached in read-only mode"):
        run("ROLLBACK", statement)


def _writable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The catalogue is opened to be written to: that layer is off."""
    connect = duckdb.connect

    def opened(path: Path, *, config: dict[str, Any], read_only: bool = False) -> Any:
        return connect(path, config=config)

    monkeypatch.setattr(duckdb, "connect", opened)


@pytest.mark.parametrize("statement", WRITES)
def test_a_transaction_that_can_only_read_does_without(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    _writable(monkeypatch)
    database = _database(files, tmp_path)
    with pytest.raises(duckdb.Error, match="read-only"):
        _run(database, statement)
    database.close()


@pytest.mark.parametrize("statement", WRITES[2:])
def test_files_that_can_only_be_read_do_without(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    _writable(monkeypatch)
    database = _database(files, tmp_path)
    _run(database, "ROLLBACK", WRITES[0])  # it is off
    with pytest.raises(duckdb.InvalidInputException, match="attached in read-only mode"):
        _run(database, "ROLLBACK", statement)
    database.close()


def test_expressions_have_a_depth(run: Run) -> None:
    with pytest.raises(duckdb.ParserException, match="depth limit of 200"):
        run("SELECT " + "+".join(["1"] * 500))


def test_a_variable_of_the_worker_is_not_a_table(opened: Database) -> None:
    leak = duckdb.sql("SELECT 42 AS answer")
    assert leak is not None
    cursor = opened.cursor()
    with pytest.raises(duckdb.CatalogException, match="leak"):
        cursor.execute("FROM leak")
    cursor.close()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("memory_limit", "64.0 MiB"),
        ("temp_directory", ""),  # nothing is written when memory is short
        ("allow_community_extensions", False),
        ("autoinstall_known_extensions", False),
        ("autoload_known_extensions", False),
        ("python_enable_replacements", False),
    ],
)
def test_what_is_set_when_it_is_locked(run: Run, name: str, value: object) -> None:
    assert run(f"SELECT current_setting('{name}')") == [(value,)]
