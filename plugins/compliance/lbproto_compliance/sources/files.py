"""A file as a source: records in batches, each with the number of the record to go on behind."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from functools import partial
from typing import Protocol, TypeAlias

from lbproto_compliance.sources.batches import Batch, Rejected, Row, Table, in_thread
from lbproto_compliance.sources.records import Fields, Malformed, Record, RecordFile

__all__ = ["BATCH", "EachRecord", "FileSource", "Said", "Translator"]

BATCH = 20_000
"""Records between two checkpoints: about a second's work."""

_END = "end"

Said: TypeAlias = Row | Rejected


class Translator(Protocol):
    """Makes rows of the records of one layout; it may remember what came before."""

    def feed(self, record: Record) -> Iterable[Said]:
        """What comes of the next record, in order."""

    def end(self) -> Iterable[Said]:
        """What is left at the end of the file."""


class EachRecord:
    """A translator that looks at each record alone.

    Args:
        translate: makes its rows; raises `Malformed`.
    """

    def __init__(self, translate: Callable[[Fields], list[Row]]) -> None:
        self._translate = translate

    def feed(self, record: Record) -> Iterable[Said]:
        try:
            return self._translate(record.parted())
        except Malformed as reason:
            return [Rejected.of(record.place, str(reason), record.text)]

    def end(self) -> Iterable[Said]:
        return ()


class FileSource:
    """A file of one layout; a `Source`.

    Args:
        file: what is read.
        table: that its rows are of.
        translator: makes one for each way through the file.
    """

    def __init__(
        self, file: RecordFile, table: Table, translator: Callable[[], Translator]
    ) -> None:
        self._file = file
        self._table: Table = table
        self._translator = translator

    @property
    def table(self) -> Table:
        return self._table

    @property
    def name(self) -> str:
        return f"{self._file.path.name} ({self._file.digest[:12]})"

    def batches(self, checkpoint: str | None) -> AsyncGenerator[Batch, None]:
        return in_thread(partial(self._read, checkpoint))

    def _read(self, checkpoint: str | None) -> Iterator[Batch]:
        if checkpoint == _END:
            return
        behind = int(checkpoint or 0)
        translator = self._translator()
        batch = Batch([], [], "", 0)
        for number, record in enumerate(self._file.records(), start=1):
            said = translator.feed(record)
            if number <= behind:  # it was read for what the translator remembers of it
                continue
            _sort(said, batch)
            if number % BATCH == 0:
                yield Batch(batch.rows, batch.rejected, str(number), record.done)
                batch = Batch([], [], "", 0)
        _sort(translator.end(), batch)
        yield Batch(batch.rows, batch.rejected, _END, 1)


def _sort(said: Iterable[Said], batch: Batch) -> None:
    for one in said:
        if isinstance(one, Rejected):
            batch.rejected.append(one)
        else:
            batch.rows.append(one)
