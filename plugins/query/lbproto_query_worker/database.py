"""An application's catalogue as a DuckDB that can read it, and can do nothing else.

Theory of operation. A small database of our own is made of the files: a Parquet file is a view on
it, a CSV file becomes a table, a DuckDB file is attached to be read, with a view for each of its
tables. It is opened again to be read, the only paths that may be opened are set to those files, and
then all else is locked. What is locked cannot be unlocked by any statement.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import duckdb

from lbproto_query_worker.guard import MAX_DEPTH, lowered
from lbproto_query_worker.plans import Plans
from lbproto_query_worker.turns import Turns

__all__ = ["Database"]

_CONFIGURATION: dict[str, str | bool | int | float | list[str]] = {
    "allow_community_extensions": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,  # a table's name is never a variable of this program
    "temp_directory": "",  # what does not fit into memory is refused, not written to disk
}
_PER_CONNECTION = ("enable_progress_bar", "enable_progress_bar_print", "progress_bar_time")
_CSV = (".csv", ".csv.gz", ".tsv", ".tsv.gz")


class Database:
    """Opens the catalogue; blocks. Cursors may be used in threads of their own.

    Args:
        files: absolute paths; a table is called as its file, without the ending.
        folder: an empty one that this may write to while it opens.
        memory: bytes that DuckDB may use.
        threads: that DuckDB may use.

    Raises:
        duckdb.Error, ValueError: a file is not what its name says, or two tables are of one name.
    """

    def __init__(self, files: list[str], folder: Path, memory: int, threads: int) -> None:
        self.files = files
        path = folder / "catalogue.duckdb"
        attached: list[str] = []
        tables: dict[str, str] = {}
        config = {**_CONFIGURATION, "memory_limit": f"{memory}B", "threads": threads}
        with duckdb.connect(path, config=config) as connection:
            for name in map(Path, files):
                for table, source in _sources(connection, name, attached):
                    if lowered(table) in tables:
                        raise ValueError(f"two tables are called {table}")
                    tables[lowered(table)] = source
                    kind = "TABLE" if name.name.endswith(_CSV) else "VIEW"
                    connection.execute(f"CREATE {kind} main.{_quoted(table)} AS FROM {source}")
        self.plans = Plans(frozenset(tables))
        self.turns = Turns()
        self._connection = duckdb.connect(path, read_only=True, config=config)
        for number, file in enumerate(attached):
            self._connection.execute(f"ATTACH {_text(file)} AS file{number} (READ_ONLY)")
        readable = [file for file in files if file.endswith(".parquet")]
        for statement in (
            "SET GLOBAL TimeZone = 'UTC'",
            f"SET GLOBAL max_expression_depth = {MAX_DEPTH}",
            f"SET GLOBAL allowed_paths = [{', '.join(map(_text, readable))}]",
            "SET GLOBAL enable_external_access = false",
            f"SET GLOBAL allowed_configs = [{', '.join(map(_text, _PER_CONNECTION))}]",
            "SET GLOBAL lock_configuration = true",
        ):
            self._connection.execute(statement)

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection for one query, in a transaction that can only read."""
        cursor = self._connection.cursor()
        cursor.execute("SET enable_progress_bar = true")
        cursor.execute("SET enable_progress_bar_print = false")
        cursor.execute("SET progress_bar_time = 0")
        cursor.execute("BEGIN TRANSACTION READ ONLY")
        return cursor

    def close(self) -> None:
        """Give up all that is open; cursors are the caller's to close first."""
        with suppress(duckdb.Error):
            self._connection.close()


def _sources(
    connection: duckdb.DuckDBPyConnection, path: Path, attached: list[str]
) -> list[tuple[str, str]]:
    """The tables that a file has, and what each is read from."""
    stem = re.split(r"\.(?=parquet$|duckdb$|csv|tsv)", path.name)[0]
    if path.name.endswith(".parquet"):
        return [(stem, f"read_parquet({_text(str(path))})")]
    if path.name.endswith(_CSV):
        return [(stem, f"read_csv({_text(str(path))})")]
    if path.suffix != ".duckdb":
        raise ValueError(f"{path.name} is neither Parquet, CSV nor DuckDB")
    alias = f"file{len(attached)}"
    attached.append(str(path))
    connection.execute(f"ATTACH {_text(str(path))} AS {alias} (READ_ONLY)")
    found = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = ? AND schema_name = 'main'"
        " AND NOT internal UNION ALL SELECT view_name FROM duckdb_views()"
        " WHERE database_name = ? AND schema_name = 'main' AND NOT internal ORDER BY 1",
        [alias, alias],
    ).fetchall()
    return [(name, f"{alias}.main.{_quoted(name)}") for (name,) in found]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
