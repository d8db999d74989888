"""What lists of who is who have in common: they are read to their end before a row is used."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Iterator, Sequence
from functools import partial
from hashlib import file_digest
from pathlib import Path
from typing import TypeAlias

from lbproto_compliance.sources.batches import (
    Attribution,
    Batch,
    Rejected,
    SourceError,
    Table,
    in_thread,
)

__all__ = ["TEXT_LENGTH", "Entry", "ListFile", "shown"]

TEXT_LENGTH = 500
"""How many characters there may be in a label, a category, or another text of a row."""

_BATCH = 1_000

Entry: TypeAlias = Attribution | Rejected


class ListFile(ABC):
    """A list in a file; a `Source`.

    Args:
        kind: of list.
        path: of the file.
        max_bytes: of it.

    Raises:
        SourceError: the file cannot be read, or is larger.
    """

    table: Table = "attributions"

    def __init__(self, kind: str, path: Path, max_bytes: int) -> None:
        self.name = f"{kind}:{path.name}:{_digest_of(path, max_bytes)}"

    def batches(self, checkpoint: str | None) -> AsyncGenerator[Batch, None]:
        return in_thread(partial(self._read, checkpoint))

    @abstractmethod
    def _entries(self) -> tuple[str, list[Entry]]:
        """The list's name, and all that it says of one chain, to its end.

        Raises:
            SourceError: it cannot be read.
        """

    def _read(self, checkpoint: str | None) -> Iterator[Batch]:
        # To its end before the first row is used: a list that is cut off would clear people.
        return _in_batches(*self._entries(), checkpoint)


def _digest_of(path: Path, max_bytes: int) -> str:
    """Tells contents of a file from others.

    Raises:
        SourceError: it is larger, or cannot be read.
    """
    try:
        if path.stat().st_size > max_bytes:
            raise SourceError(f"{path} is larger than {max_bytes:,} bytes")
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from None


def _in_batches(list_: str, entries: Sequence[Entry], checkpoint: str | None) -> Iterator[Batch]:
    """A list in batches. A checkpoint is how many of its entries have been given.

    Args:
        list_: its name, the `source` of its rows.
        entries: all that it says of one chain. Where that is nothing there is one batch, which
            says so: who was on an earlier one is on it no longer.
        checkpoint: behind which to go on.

    Raises:
        SourceError: it is not a checkpoint of a list.
    """
    if checkpoint is not None and not (checkpoint.isascii() and checkpoint.isdecimal()):
        raise SourceError("the checkpoint is not of a list")
    if checkpoint is None and not entries:
        yield Batch([], [], "0", 1, (list_,))
    for start in range(int(checkpoint or 0), len(entries), _BATCH):
        part = entries[start : start + _BATCH]
        given = start + len(part)
        yield Batch(
            [entry for entry in part if isinstance(entry, Attribution)],
            [entry for entry in part if isinstance(entry, Rejected)],
            str(given),
            given / len(entries),
            (list_,),
        )


def shown(what: str, text: str) -> str:
    """A text fit to be a row's: without space around it.

    Raises:
        ValueError: it is empty, too long, or has invalid characters.
    """
    text = text.strip()
    if not text:
        raise ValueError(f"it has no {what}")
    if len(text) > TEXT_LENGTH:
        raise ValueError(f"its {what} has more than {TEXT_LENGTH} characters")
    if not text.isprintable():
        raise ValueError(f"its {what} has characters that cannot be shown")
    return text
