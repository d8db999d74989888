"""Recorded trades as files: CSV, plain or gzipped, and Parquet."""

from __future__ import annotations

import csv
import gzip
import logging
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import TypeAlias

from lbproto import UsageError
from lbproto_market.trades import MalformedTrade, Trade, parse_trade

__all__ = ["Recording"]

logger = logging.getLogger(__name__)

_COLUMNS = ("timestamp_ms", "id", "price", "amount")
_SIDE = "side"

# Rows read at a time: some milliseconds of a worker thread.
_BATCH = 1000

# Its number in the file, counted from 1, and its `_COLUMNS` and side; None if it cannot be parted.
_Row: TypeAlias = tuple[int, list[str] | None]


class Recording:
    """A file of trades in the order in which they happened.

    It has the columns `timestamp_ms`, `id`, `price` and `amount`, and may have `side` (`buy` or
    `sell`: which way the taker went); others are ignored. A row that is not a trade is left out,
    and that is told: the first one and how many they are in the log, the
    number also in `malformed`.

    Args:
        path: Parquet if it ends in `.parquet` (needs the extra `parquet`), else CSV with a header,
            gzipped if it ends in `.gz`.
        venue: where the trades were made.
    """

    def __init__(self, path: Path, venue: str) -> None:
        self.path = path
        self.venue = venue
        self.malformed = 0
        """Rows left out on the way through the file that is, or was last, under way."""
        self._told = False

    def batches(self) -> Generator[list[Trade], None, None]:
        """The trades, some at a time and never none; blocks, so call it in a worker thread.

        Raises:
            UsageError: it is no such file, or it is Parquet and the extra is missing.
            OSError, EOFError: the file cannot be read, or not to its end.
        """
        self.malformed = 0
        rows = _parquet_rows(self.path) if self.path.suffix == ".parquet" else _csv_rows(self.path)
        with closing(rows):
            trades = self._trades(rows)
            while batch := list(islice(trades, _BATCH)):
                yield batch
        if self.malformed and not self._told:  # once, however often the file is gone through
            self._told = True
            logger.warning("%s: %d rows left out: not trades", self.path, self.malformed)

    def _trades(self, rows: Iterable[_Row]) -> Iterator[Trade]:
        for number, row in rows:
            try:
                if row is None:
                    raise MalformedTrade("the row cannot be parted into its columns")
                yield parse_trade(*row, venue=self.venue)
            except MalformedTrade as reason:
                self.malformed += 1
                if self.malformed == 1 and not self._told:
                    logger.warning("%s: row %d left out: %s", self.path, number, reason)


def _csv_rows(path: Path) -> Generator[_Row, None, None]:
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        lines = TextIOWrapper(file, encoding="utf-8-sig", errors="replace")
        header = _fields(lines.readline()) or []
        if not set(header).issuperset(_COLUMNS):
            raise _unfit(path, "CSV")
        columns = (*_COLUMNS, _SIDE) if _SIDE in header else _COLUMNS
        places = [header.index(column) for column in columns]
        for number, line in enumerate(lines, start=2):
            fields = _fields(line)
            if fields == []:
                continue
            if fields is None or len(fields) != len(header):
                yield number, None
            else:
                yield number, [fields[place] for place in places]


def _fields(line: str) -> list[str] | None:
    # Line by line, so that a stray quotation mark costs its own row and not all that follow.
    try:
        return next(csv.reader((line,), strict=True), [])
    except csv.Error:
        return None


def _parquet_rows(path: Path) -> Generator[_Row, None, None]:
    try:
        import duckdb
    except ImportError:
        raise UsageError(
            f"reading {path.name} needs DuckDB: install the extra, lbproto-market[parquet]"
        ) from None
    path.open("rb").close()  # a missing file is an OSError, whatever its format
    # As text: the shortest that gives the number back, and exact where the column is a decimal.
    with duckdb.connect() as connection:
        try:
            names = connection.execute("DESCRIBE FROM read_parquet(?)", [str(path)]).fetchall()
            sided = any(name == _SIDE for name, *_ in names)
            result = connection.execute(
                f"""
                SELECT timestamp_ms::VARCHAR, id::VARCHAR, price::VARCHAR, amount::VARCHAR,
                    {_SIDE if sided else "''"}::VARCHAR
                FROM read_parquet(?)
                """,  # noqa: S608 - a column's name of ours
                [str(path)],
            )
        except duckdb.Error as error:
            raise _unfit(path, "Parquet") from error
        number = 0
        while rows := result.fetchmany(_BATCH):
            for row in rows:
                number += 1
                yield number, ["" if field is None else field for field in row]


def _unfit(path: Path, format_: str) -> UsageError:
    return UsageError(f"{path} is not a {format_} file with the columns {', '.join(_COLUMNS)}")
