"""Files of records, read from any record on: CSV with a header, JSON lines, Parquet."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Generator, Iterator
from contextlib import closing
from hashlib import file_digest
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeAlias

import duckdb
import msgspec

from lbproto_compliance.sources.batches import SourceError

__all__ = ["MAX_LINE", "CutOff", "Fields", "Malformed", "Record", "RecordFile"]

MAX_LINE = 64 << 20
"""Bytes of a line: a transaction that fills a block is far less."""

_JSON = (".json", ".jsonl", ".ndjson")
_PARQUET = ".parquet"

# Rows of a Parquet file fetched at once.
_FETCH = 2_000

# A field and what ends it. Lines are parted one by one, so that a stray quotation mark costs its
# own line and not all that follow; and Python's reader of CSV has a limit that real data exceed.
_FIELD = re.compile(r'(?:"([^"]*(?:""[^"]*)*)"|([^",]*))(,|$)')

Fields: TypeAlias = dict[str, Any]
"""A record: texts from CSV, whatever they are in JSON and Parquet."""


class CutOff(SourceError):
    """A file ends in the middle. Nothing of it may be kept: its last block is not whole."""


class Malformed(ValueError):
    """A record does not fit its layout; the message says why."""


class Record(NamedTuple):
    """One of a file.

    Attributes:
        place: where it stands, such as `line 7`.
        fields: what it says; None if it cannot be parted.
        text: as it stands there.
        done: how much of the file has been read, 0 to 1.
    """

    place: str
    fields: Fields | None
    text: str
    done: float

    def parted(self) -> Fields:
        """What it says.

        Raises:
            Malformed: it cannot be parted.
        """
        if self.fields is None:
            raise Malformed("it is not an object of JSON, or has not the columns of the header")
        return self.fields


class RecordFile:
    """A file of records; everything blocks.

    Args:
        path: JSON lines if it ends in `.json`, `.jsonl` or `.ndjson`, Parquet if in `.parquet`,
            else CSV with a header; text also gzipped, with `.gz` at the end.

    Raises:
        SourceError: there is no such file, it is empty, or it is no such format.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        name = Path(path.name.lower())  # as in BLOCKS.CSV.GZ
        self._gzipped = name.suffix == ".gz"
        self._kind = Path(name.stem).suffix if self._gzipped else name.suffix
        try:
            with path.open("rb") as file:
                self.digest = file_digest(file, "sha256").hexdigest()
                """Of its bytes: the same file is the same, whatever its name."""
            self.columns = frozenset(self._columns())
            """The fields that its records have; of JSON, those of the first record."""
        except OSError as error:
            raise SourceError(f"cannot read {path}: {error.strerror or error}") from error

    def records(self) -> Iterator[Record]:
        """All records in order; empty lines are none.

        Raises:
            CutOff: it ends in the middle.
            SourceError: it cannot be read.
        """
        try:
            if self._kind == _PARQUET:
                yield from self._rows()
            elif self._kind in _JSON:
                yield from self._objects()
            else:
                yield from self._lines_of_fields()
        except OSError as error:
            raise SourceError(f"cannot read {self.path}: {error.strerror or error}") from error

    def _columns(self) -> list[str]:
        if self._kind == _PARQUET:
            return self._parquet_columns()
        with closing(self._lines()) as lines:
            number, line, _ = next(lines, (0, b"", 0.0))
        if self._kind not in _JSON:
            columns = _parted(_text(line) or "")
            if not columns or number != 1:
                raise SourceError(f"{self.path} has no header of CSV in its first line")
            return columns
        first = _object(line)
        if first is None:
            raise SourceError(f"{self.path} does not begin with a line of JSON: an object a line")
        return list(first)

    def _lines_of_fields(self) -> Iterator[Record]:
        header: list[str] = []
        for number, line, done in self._lines():
            text = _text(line)
            fields = None if text is None else _parted(text)
            if number == 1:
                header = fields or []
                continue
            whole = fields is not None and len(fields) == len(header)
            record = dict(zip(header, fields, strict=True)) if fields and whole else None
            if not line.endswith(b"\n"):
                # The last field may be cut as well, and would look right.
                raise self._cut_off(f"line {number} has no end")
            yield Record(f"line {number}", record, _shown(line), done)

    def _objects(self) -> Iterator[Record]:
        for number, line, done in self._lines():
            record = _object(line)
            if record is None and not line.endswith(b"\n"):
                raise self._cut_off(f"line {number} has no end")
            yield Record(f"line {number}", record, _shown(line), done)

    def _lines(self) -> Generator[tuple[int, bytes, float], None, None]:
        """Lines that are not empty, each with its number and how much has been read."""
        size = max(self.path.stat().st_size, 1)
        with self.path.open("rb") as raw:
            file: BinaryIO | gzip.GzipFile = gzip.GzipFile(fileobj=raw) if self._gzipped else raw
            number = 0
            try:
                while line := file.readline(MAX_LINE):
                    number += 1
                    if len(line) == MAX_LINE:
                        raise SourceError(
                            f"{self.path}: line {number} is longer than any export's: "
                            "is it a file of lines?"
                        )
                    if number == 1:
                        line = line.removeprefix(b"\xef\xbb\xbf")
                    if line.strip():
                        yield number, line, min(raw.tell() / size, 1)
            except EOFError:
                raise self._cut_off("its compression does not end") from None
            except (gzip.BadGzipFile, zlib.error) as error:
                raise CutOff(
                    f"{self.path} is damaged behind line {number} ({error}): nothing of it is "
                    "kept; get it again"
                ) from error

    def _parquet_columns(self) -> list[str]:
        with duckdb.connect() as connection:
            try:
                rows = connection.execute(
                    "DESCRIBE FROM read_parquet(?)", [str(self.path)]
                ).fetchall()
            except duckdb.Error as error:
                raise CutOff(
                    f"{self.path} is not a Parquet file, or not all of one: get it again"
                ) from error
        return [str(name) for name, *_ in rows]

    def _rows(self) -> Iterator[Record]:
        with duckdb.connect(config={"threads": 1}) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            try:
                ((count,),) = connection.execute(
                    "SELECT count(*) FROM read_parquet(?)", [str(self.path)]
                ).fetchall()
                result = connection.execute("FROM read_parquet(?)", [str(self.path)])
                names = [column[0] for column in result.description]
                number = 0
                while rows := result.fetchmany(_FETCH):
                    for row in rows:
                        number += 1
                        fields = dict(zip(names, row, strict=True))
                        yield Record(f"row {number}", fields, str(row)[:2_000], number / count)
            except duckdb.Error as error:
                raise CutOff(
                    f"{self.path} is damaged: nothing of it is kept; get it again"
                ) from error

    def _cut_off(self, sign: str) -> CutOff:
        return CutOff(
            f"{self.path} is cut off: {sign}. Nothing of it is kept, since its last block may not "
            "be whole: get all of it, or end its last line if that is all, and import again"
        )


def _text(line: bytes) -> str | None:
    try:
        return line.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        return None


def _shown(line: bytes) -> str:
    return line[:2_000].decode(errors="replace").rstrip("\r\n")


def _parted(line: str) -> list[str] | None:
    """The fields of a line of CSV; None if its quotation marks do not match."""
    if '"' not in line:
        return line.split(",")
    fields = []
    place = 0
    while True:
        match = _FIELD.match(line, place)
        if match is None:
            return None
        quoted, plain, end = match.groups()
        fields.append(plain if quoted is None else quoted.replace('""', '"'))
        if not end:
            return fields
        place = match.end()


def _object(line: bytes) -> Fields | None:
    try:
        found = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
