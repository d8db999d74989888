"""What an import has read so far, in a file of DuckDB's.

Each batch is one transaction, and so is the checkpoint behind it: after a crash the rows are there
exactly up to the checkpoint. DuckDB's lock on the file keeps an import in another process out.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import NamedTuple

import duckdb
import numpy as np

from lbproto import UsageError
from lbproto_compliance.sources import Batch, Rejected, Table
from lbproto_compliance.store.database import connect
from lbproto_compliance.store.manifest import Layout
from lbproto_compliance.store.tables import COLUMNS, arrays_of

__all__ = ["Staged", "Staging"]

_SCHEMA = (
    *(
        f"CREATE TABLE IF NOT EXISTS staged_{table} (origin INTEGER, "
        + ", ".join(f"{name} {kind}" for name, kind in columns.items())
        + ")"
        for table, columns in COLUMNS.items()
    ),
    """
    CREATE TABLE IF NOT EXISTS staged_rejected (
        origin INTEGER, source VARCHAR, place VARCHAR, reason VARCHAR, content VARCHAR
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS staged_sources (
        origin INTEGER, name VARCHAR, kind VARCHAR, checkpoint VARCHAR,
        read BIGINT, rejected BIGINT
    )
    """,
    "CREATE TABLE IF NOT EXISTS staged_lists (origin INTEGER, list VARCHAR)",
)


# What is open in this process: DuckDB would share the file between two.
_opened: set[str] = set()
_lock = Lock()


class Staged(NamedTuple):
    """How far a source was read.

    Attributes:
        name: the source's.
        table: that its rows are of.
        checkpoint: behind the last batch.
        rows: staged of it.
        rejected: rows set aside.
        lists: of attributions that it takes the place of.
    """

    name: str
    table: Table
    checkpoint: str
    rows: int
    rejected: int
    lists: tuple[str, ...]


class Staging:
    """The rows of an import that is under way. Everything blocks; one thread at a time.

    Args:
        layout: of the chain.

    Raises:
        UsageError: another import of the chain is under way.
        OSError, duckdb.Error: the directory cannot be written.
    """

    def __init__(self, layout: Layout) -> None:
        layout.make()
        self._layout = layout
        self._file = layout.importing / "rows.duckdb"
        self._key = os.path.realpath(self._file)
        with _lock:
            if self._key in _opened:
                raise _busy(layout)
            _opened.add(self._key)
        self._holds = True
        try:
            self.connection = connect(layout.directory, self._file)
        except BaseException as error:
            self._let_go()
            if isinstance(error, duckdb.IOException) and "Conflicting lock" in str(error):
                raise _busy(layout) from error
            raise
        for statement in _SCHEMA:
            self.connection.execute(statement)

    def sources(self) -> list[Staged]:
        """What has been read, in the order of its beginning."""
        rows = self.connection.execute(
            """
            SELECT name, kind, checkpoint, read, rejected, ARRAY(
                SELECT DISTINCT list FROM staged_lists lists
                WHERE lists.origin = sources.origin ORDER BY list
            )
            FROM staged_sources sources ORDER BY origin
            """
        ).fetchall()
        return [
            Staged(name, table, checkpoint, read, rejected, tuple(lists))
            for name, table, checkpoint, read, rejected, lists in rows
        ]

    def expect(self, names: Collection[str]) -> None:
        """Refuse to mix sources with those of an interrupted import.

        Raises:
            UsageError: what is staged is of a source that is not named.
        """
        others = [staged.name for staged in self.sources() if staged.name not in names]
        if others:
            raise UsageError(
                f"an import of {', '.join(others)} was interrupted: name the same again to finish "
                "it, or drop what it has read by --afresh"
            )

    def checkpoint(self, name: str) -> str | None:
        """Behind which a source goes on; None if nothing was read of it."""
        checkpoints = self.connection.execute(
            "SELECT checkpoint FROM staged_sources WHERE name = ?", [name]
        ).fetchall()
        return str(checkpoints[0][0]) if checkpoints else None

    def add(self, name: str, table: Table, batch: Batch) -> None:
        """Keep a batch, and that the source goes on behind it."""
        with self._transaction():
            origin = self._origin(name, table)
            if batch.rows:
                columns = arrays_of(table, batch.rows)
                self.connection.register("batch", columns)
                self.connection.execute(
                    f"INSERT INTO staged_{table} SELECT ?::INTEGER, * FROM batch",  # noqa: S608 - a table of ours
                    [origin],
                )
                self.connection.unregister("batch")
            if batch.rejected:
                self._set_aside(origin, name, batch.rejected)
            for name_of_list in batch.lists:
                self.connection.execute(
                    "INSERT INTO staged_lists VALUES (?, ?)", [origin, name_of_list]
                )
            self.connection.execute(
                """
                UPDATE staged_sources
                SET checkpoint = ?, read = read + ?, rejected = rejected + ? WHERE origin = ?
                """,
                [batch.checkpoint, len(batch.rows), len(batch.rejected), origin],
            )

    def drop(self, name: str) -> None:
        """Forget all that was read of a source."""
        with self._transaction():
            for table in (*COLUMNS, "rejected", "lists", "sources"):
                self.connection.execute(
                    f"""
                    DELETE FROM staged_{table}
                    WHERE origin IN (SELECT origin FROM staged_sources WHERE name = ?)
                    """,  # noqa: S608 - a table of ours
                    [name],
                )

    def rejects(self, name: str, most: int) -> list[Rejected]:
        """The first rows set aside of a source, in its order."""
        rows = self.connection.execute(
            """
            SELECT place, reason, content FROM staged_rejected WHERE source = ?
            ORDER BY rowid LIMIT ?
            """,
            [name, most],
        ).fetchall()
        return [Rejected(*row) for row in rows]

    def close(self) -> None:
        """Leave it; what is staged stays for an import that goes on."""
        self.connection.close()
        self._let_go()

    def discard(self) -> None:
        """Close it and forget what is staged."""
        self.connection.close()
        # The journal first: without its database it is nothing, but a new one would replay it.
        self._file.with_name(f"{self._file.name}.wal").unlink(missing_ok=True)
        self._file.unlink(missing_ok=True)
        for part in self._layout.importing.glob("*.parquet"):
            part.unlink()
        self._let_go()

    def _let_go(self) -> None:
        if self._holds:  # once: somebody else may have it by now
            self._holds = False
            with _lock:
                _opened.discard(self._key)

    def _origin(self, name: str, table: Table) -> int:
        """The number of a source."""
        found = self.connection.execute(
            "SELECT origin FROM staged_sources WHERE name = ?", [name]
        ).fetchall()
        if found:
            return int(found[0][0])
        ((origin,),) = self.connection.execute(
            "SELECT coalesce(max(origin), 0) + 1 FROM staged_sources"
        ).fetchall()
        self.connection.execute(
            "INSERT INTO staged_sources VALUES (?, ?, ?, '', 0, 0)", [origin, name, table]
        )
        return int(origin)

    def _set_aside(self, origin: int, name: str, rejected: list[Rejected]) -> None:
        columns = {
            "place": np.array([one.place for one in rejected], dtype=object),
            "reason": np.array([one.reason for one in rejected], dtype=object),
            "content": np.array([one.row for one in rejected], dtype=object),
        }
        self.connection.register("batch", columns)
        self.connection.execute(
            "INSERT INTO staged_rejected SELECT ?::INTEGER, ?::VARCHAR, * FROM batch",
            [origin, name],
        )
        self.connection.unregister("batch")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self.connection.execute("BEGIN")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")


def _busy(layout: Layout) -> UsageError:
    return UsageError(f"another import into {layout.directory} is under way: wait for its end")
