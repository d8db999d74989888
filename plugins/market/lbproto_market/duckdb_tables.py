"""What a `DuckDBArchive` does to its file. Everything here blocks, and is done by one at a time."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lbproto_market.archive import Resumption, Seen
from lbproto_market.backlog import Batch, Key
from lbproto_market.bars import Bar
from lbproto_market.changes import Settled
from lbproto_market.duckdb_rows import COLUMN_TYPES, as_columns, bar_of, is_text, row_of
from lbproto_market.duckdb_schema import TABLES, connect, disconnect
from lbproto_market.resolutions import RESOLUTIONS, Resolution
from lbproto_market.resuming import NEEDED, resumed

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["Tables", "table_of"]

# Between two looks at what has become too old, in seconds.
_TIDY_EVERY = 600.0

_INSERT = "INSERT INTO {} SELECT " + ", ".join(
    f"unnest(${number}::{type_}[])" for number, type_ in enumerate(COLUMN_TYPES, start=1)
)
_DELETE = """
    DELETE FROM {0}
    USING (SELECT unnest($1::INTEGER[]) AS chart, unnest($2::BIGINT[]) AS opening) AS old
    WHERE {0}.chart = old.chart AND {0}.opening = old.opening AND {0}.opening BETWEEN $3 AND $4
"""
_FORGET = """
    DELETE FROM {0} USING charts, markets
    WHERE {0}.chart = charts.chart AND charts.symbol = markets.symbol
        AND {0}.opening < least(markets.now_ms, $1) - $2 AND {0}.opening < $3
"""
_MARK_SEEN = """
    MERGE INTO marks USING (
        SELECT symbol, venue, max(list_max(ids)) + 1 AS mark FROM seen JOIN markets USING (symbol)
        WHERE second < least(now_ms, $1) - $2 GROUP BY symbol, venue
    ) AS old ON marks.symbol = old.symbol AND marks.venue = old.venue
    WHEN MATCHED THEN UPDATE SET mark = greatest(marks.mark, old.mark)
    WHEN NOT MATCHED THEN INSERT VALUES (old.symbol, old.venue, old.mark)
"""
_FORGET_SEEN = """
    DELETE FROM seen USING markets
    WHERE seen.symbol = markets.symbol AND seen.second < least(markets.now_ms, $1) - $2
"""
_BEGIN_OF_NEWEST = """
    SELECT opening FROM (
        SELECT DISTINCT opening FROM {} WHERE chart IN (SELECT unnest($1::INTEGER[]))
            AND opening >= $2 AND opening < $3 AND closed
    ) ORDER BY opening DESC LIMIT 1 OFFSET $4
"""
_CONSOLIDATED = """
    SELECT
        opening,
        arg_min((first_ms, first_id, venue, first_price), (first_ms, first_id, venue)),
        arg_max((last_ms, last_id, venue, last_price), (last_ms, last_id, venue)),
        max(high), min(low), sum(whole), sum(fraction), sum(trades), true, sum(revision)
    FROM {0} JOIN charts USING (chart)
    WHERE {0}.chart IN (SELECT unnest($1::INTEGER[])) AND opening >= $2 AND opening < $3
        AND closed
    GROUP BY opening ORDER BY opening DESC LIMIT $4
"""
# From when on is looked up first: sorting whole rows takes several times as long.
_NEWEST_OF_EACH = """
    WITH newest AS (
        SELECT chart, coalesce(list_min(max(opening, $2) FILTER (closed)), 0) AS since
        FROM {0} JOIN charts USING (chart) WHERE symbol = $1 GROUP BY chart
    )
    SELECT
        venue, resolution, opening, (first_ms, first_id, venue, first_price),
        (last_ms, last_id, venue, last_price), high, low, whole, fraction, trades, closed, revision
    FROM {0} JOIN newest USING (chart) JOIN charts USING (chart)
    WHERE opening >= since
    ORDER BY opening
"""
_SEEN = """
    SELECT venue, list_sort(list_distinct(flatten(list(ids)))) FROM seen
    WHERE symbol = $1 GROUP BY venue
"""
_MARKS = "SELECT venue, mark FROM marks WHERE symbol = $1"


def table_of(resolution: Resolution) -> str:
    """Which table has the candles of a resolution."""
    length = resolution.length_ms
    if length is None or length >= 86_400_000:
        return "days"
    return "minutes" if length >= 60_000 else "seconds"


class Tables:
    """The file, and what is known of it by heart.

    Any method but `close` opens it where it is not open, and closes it when it raises: DuckDB
    takes no more of a file once it could not write to it.

    Args:
        path: the file.
        keep_ms: for how long candles are kept, by table; for ever in one that is not in it.
        remember_ms: for how long trades are.
        memory: how many MiB DuckDB may use.
    """

    def __init__(self, path: str, keep_ms: dict[str, int], remember_ms: int, memory: int) -> None:
        self._path = path
        self._keep_ms = keep_ms
        self._remember_ms = remember_ms
        self._memory = memory
        self._connection: DuckDBPyConnection | None = None
        self._charts: dict[tuple[str, str, str], int] = {}
        self._newest: dict[int, int] = {}  # opening by chart: what is newer replaces nothing
        self._moments: dict[str, int] = {}
        self._tidied = float("-inf")

    def open(self) -> DuckDBPyConnection:
        """Open the file.

        Raises:
            UsageError: see `connect`.
            Exception: it cannot be read.
        """
        if self._connection is None:
            self._connection = connect(self._path, self._memory)
            try:
                self._learn(self._connection)
            except BaseException:
                self.close()
                raise
        return self._connection

    def close(self) -> None:
        """Close the file; more than once does nothing."""
        connection, self._connection = self._connection, None
        if connection is not None:
            disconnect(connection, self._path)

    def commit(self, batch: Batch) -> int:
        """Write a batch, all or nothing; it is on the disk on return.

        Returns:
            How many candles were left out because no file could keep them.

        Raises:
            Exception: nothing was written, as far as can be told; to write it again does no harm.
        """
        with self._closing_when_it_fails() as connection:
            connection.execute("BEGIN")
            left_out = self._write(connection, batch)
            connection.execute("COMMIT")
            if time.monotonic() >= self._tidied + _TIDY_EVERY:
                self._tidy(connection)
        return left_out

    def read(
        self,
        symbol: str,
        venues: Collection[str],
        resolution: Resolution,
        begin: int,
        end: int,
        limit: int,
    ) -> list[Bar]:
        """See `Archive.read`."""
        with self._closing_when_it_fails() as connection:
            return self._read(connection, symbol, venues, resolution, begin, end, limit)

    def resume(self, symbol: str, history: int) -> Resumption:
        """See `Archive.resume`."""
        with self._closing_when_it_fails() as connection:
            return self._resume(connection, symbol, history)

    @contextmanager
    def _closing_when_it_fails(self) -> Iterator[DuckDBPyConnection]:
        connection = self.open()
        try:
            yield connection
        except BaseException:
            self.close()
            raise

    def _read(
        self,
        connection: DuckDBPyConnection,
        symbol: str,
        venues: Collection[str],
        resolution: Resolution,
        begin: int,
        end: int,
        limit: int,
    ) -> list[Bar]:
        known = (self._charts.get((symbol, venue, resolution.name)) for venue in set(venues))
        charts = [chart for chart in known if chart is not None]
        if not charts:
            return []
        table = table_of(resolution)
        row = connection.execute(
            _BEGIN_OF_NEWEST.format(table), [charts, begin, end, limit - 1]
        ).fetchone()
        if row is not None:  # group no more than is wanted
            begin = row[0]
        rows = connection.execute(
            _CONSOLIDATED.format(table), [charts, begin, end, limit]
        ).fetchall()
        return [bar_of(*row) for row in reversed(rows)]

    def _resume(self, connection: DuckDBPyConnection, symbol: str, history: int) -> Resumption:
        if symbol not in self._moments:
            return Resumption(0, [], {})
        most = max(history, NEEDED)
        venues: dict[str, dict[str, list[Bar]]] = {}
        for table in TABLES:
            rows = connection.execute(_NEWEST_OF_EACH.format(table), [symbol, most]).fetchall()
            for venue, resolution, *row in rows:
                charts = venues.setdefault(venue, {})
                charts.setdefault(resolution, []).append(bar_of(*row))
        bars = [
            Settled(venue, resolution, bar)
            for venue, charts in venues.items()
            for resolution, bar in resumed(charts, history)
        ]
        ids = dict(connection.execute(_SEEN, [symbol]).fetchall())
        marks = dict(connection.execute(_MARKS, [symbol]).fetchall())
        seen = {venue: Seen(marks.get(venue, 0), ids.get(venue, [])) for venue in {**ids, **marks}}
        return Resumption(self._moments[symbol], bars, seen)

    def _learn(self, connection: DuckDBPyConnection) -> None:
        rows = connection.execute("SELECT symbol, venue, resolution, chart FROM charts").fetchall()
        self._charts = {(symbol, venue, name): chart for symbol, venue, name, chart in rows}
        self._moments = dict(connection.execute("SELECT symbol, now_ms FROM markets").fetchall())
        self._newest = {}
        for table in TABLES:
            newest = connection.execute(f"SELECT chart, max(opening) FROM {table} GROUP BY chart")  # noqa: S608 - one of ours
            self._newest.update(newest.fetchall())

    def _write(self, connection: DuckDBPyConnection, batch: Batch) -> int:
        left_out = 0
        moments = {symbol: now for symbol, now in batch.moments.items() if is_text(symbol)}
        self._write_moments(connection, moments)
        rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in TABLES}
        for key, bar in batch.bars.items():
            row = row_of(bar)
            if row is None or not (is_text(key.symbol) and is_text(key.venue)):
                left_out += 1
                continue
            chart = self._chart(connection, key)
            rows[table_of(RESOLUTIONS[key.resolution])].append((chart, *row))
        for table, new in rows.items():
            self._replace(connection, table, new)
        ids = [
            (*key, numbers)
            for key, numbers in batch.ids.items()
            if is_text(key[0]) and is_text(key[1])
        ]
        if ids:
            connection.execute(
                "INSERT INTO seen SELECT unnest($1::VARCHAR[]), unnest($2::VARCHAR[]), "
                "unnest($3::BIGINT[]), unnest($4::BIGINT[][])",
                as_columns(ids),
            )
        return left_out

    def _write_moments(self, connection: DuckDBPyConnection, moments: dict[str, int]) -> None:
        new = [(symbol, 0) for symbol in moments if symbol not in self._moments]
        if new:
            connection.executemany("INSERT INTO markets VALUES (?, ?)", new)
            self._moments.update(new)
        later = [(symbol, now) for symbol, now in moments.items() if now > self._moments[symbol]]
        if later:
            connection.execute(
                "UPDATE markets SET now_ms = later.now_ms FROM (SELECT unnest($1::VARCHAR[]) AS "
                "symbol, unnest($2::BIGINT[]) AS now_ms) AS later "
                "WHERE markets.symbol = later.symbol",
                as_columns(later),
            )
            self._moments.update(later)

    def _chart(self, connection: DuckDBPyConnection, key: Key) -> int:
        name = (key.symbol, key.venue, key.resolution)
        chart = self._charts.get(name)
        if chart is None:
            chart = self._charts[name] = len(self._charts) + 1
            connection.execute("INSERT INTO charts VALUES (?, ?, ?, ?)", [chart, *name])
        return chart

    def _replace(
        self, connection: DuckDBPyConnection, table: str, rows: list[tuple[Any, ...]]
    ) -> None:
        if not rows:
            return
        older = [row[:2] for row in rows if row[1] <= self._newest.get(row[0], -1)]
        if older:
            charts, openings = as_columns(older)
            connection.execute(
                _DELETE.format(table), [charts, openings, min(openings), max(openings)]
            )
        connection.execute(_INSERT.format(table), as_columns(rows))
        for chart, opening, *_ in rows:
            self._newest[chart] = max(opening, self._newest.get(chart, -1))

    def _tidy(self, connection: DuckDBPyConnection) -> None:
        """Forget what is too old, by each market's own time, and by ours if that one is ahead."""
        self._tidied = time.monotonic()
        wall_ms = int(time.time() * 1000)
        latest = min(wall_ms, max(self._moments.values(), default=0))
        for table, keep in self._keep_ms.items():
            connection.execute(_FORGET.format(table), [wall_ms, keep, latest - keep])
        connection.execute("BEGIN")
        connection.execute(_MARK_SEEN, [wall_ms, self._remember_ms])
        connection.execute(_FORGET_SEEN, [wall_ms, self._remember_ms])
        connection.execute("COMMIT")
