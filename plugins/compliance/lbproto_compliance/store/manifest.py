"""One snapshot of a chain's data: which files it is made of, and what was imported into them.

Files of rows are named by a digest of what is in them and never change; so is a manifest, whose
name is the snapshot's id. `latest` names the newest, and is the one file that is ever replaced.
"""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from lbproto import NotFound, UsageError

__all__ = [
    "ID_LENGTH",
    "Imported",
    "Kept",
    "Layout",
    "Manifest",
    "Part",
    "write_whole",
]

ID_LENGTH = 32
"""Hexadecimal digits of a snapshot's id, and of a part's."""

Kept: TypeAlias = Literal["transfers", "coins", "movements", "attributions", "rejected"]
"""The tables of a snapshot."""

_FORMAT = 1


class Part(msgspec.Struct, frozen=True):
    """A Parquet file.

    Args:
        name: within the directory of parts.
        rows: how many it has.
        first: the lowest height in it; None where its rows have no height.
        last: the highest.
    """

    name: str
    rows: int
    first: int | None
    last: int | None


class Imported(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was read of one source so far.

    Args:
        name: the source's.
        table: that its rows are of.
        checkpoint: behind which it goes on when it is imported again.
        rows: read of it, those that were there already among them.
        rejected: rows set aside.
        lists: of attributions that it is. A newer source of one of them takes its place here, too:
            so it is read anew if it is imported again.
    """

    name: str
    table: str
    checkpoint: str
    rows: int
    rejected: int
    lists: tuple[str, ...] = ()


class Manifest(msgspec.Struct, frozen=True):
    """What a snapshot is made of.

    Args:
        format: of the files; those of a later one are refused.
        chain: whose data it is.
        parts: by table.
        imported: in the order of their first import.
    """

    chain: str
    parts: dict[Kept, tuple[Part, ...]]
    imported: tuple[Imported, ...]
    format: int = _FORMAT

    def of(self, table: Kept) -> tuple[Part, ...]:
        """The parts of one table."""
        return self.parts.get(table, ())

    @property
    def heights(self) -> tuple[int, int] | None:
        """The first and the last block; None where it has none."""
        parts = self.of("movements")
        first = [part.first for part in parts if part.first is not None]
        last = [part.last for part in parts if part.last is not None]
        return (min(first), max(last)) if first and last else None

    def rows(self, table: Kept) -> int:
        """How many rows a table has."""
        return sum(part.rows for part in self.of(table))


class Layout:
    """Where the files of one chain are.

    Args:
        directory: of the chain; made when something is first written.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.parts = directory / "parts"
        self.snapshots = directory / "snapshots"
        self.graphs = directory / "graphs"
        self.importing = directory / "importing"
        """An import that is under way, or was interrupted."""

    def make(self) -> None:
        """Make the directories.

        Raises:
            OSError: they cannot be made.
        """
        for directory in (self.parts, self.snapshots, self.graphs, self.importing):
            directory.mkdir(parents=True, exist_ok=True)

    def latest(self) -> str | None:
        """The newest snapshot's id; None where nothing has been imported."""
        try:
            return (self.directory / "latest").read_text("ascii").strip()
        except FileNotFoundError:
            return None

    def ids(self) -> list[str]:
        """The snapshots that there are, oldest first."""
        found = [(path.stat().st_mtime_ns, path.stem) for path in self.snapshots.glob("*.json")]
        return [id_ for _, id_ in sorted(found)]

    def has(self, id_: str) -> bool:
        """Whether a snapshot whose id is well-formed is still kept."""
        return (self.snapshots / f"{id_}.json").exists()

    def read(self, id_: str) -> Manifest:
        """The manifest of one snapshot.

        Raises:
            NotFound: there is no such snapshot, or no more.
            UsageError: its manifest is damaged, or of a later version.
        """
        if len(id_) != ID_LENGTH or not set(id_) <= set("0123456789abcdef"):
            raise NotFound("there is no such snapshot")
        path = self.snapshots / f"{id_}.json"
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise NotFound("the snapshot is no longer kept: begin again from the latest") from None
        if _id_of(content) != id_:
            raise UsageError(f"{path} is damaged: its content is not what its name says")
        manifest = msgspec.json.decode(content, type=Manifest)
        if manifest.format > _FORMAT:
            raise UsageError(
                f"{path} was written by a later version of lbproto-compliance: install that"
            )
        return manifest

    def write(self, manifest: Manifest) -> str:
        """Write a manifest; the id of its snapshot.

        Raises:
            OSError: it cannot be written.
        """
        content = msgspec.json.format(msgspec.json.encode(manifest, order="deterministic"))
        id_ = _id_of(content)
        path = self.snapshots / f"{id_}.json"
        if not path.exists():
            write_whole(path, content)
        return id_

    def publish(self, id_: str) -> None:
        """Make a snapshot the latest.

        Raises:
            OSError: that cannot be written; then the latest is what it was.
        """
        if self.latest() != id_:
            write_whole(self.directory / "latest", id_.encode())

    def adopt(self, file: Path, table: Kept) -> str:
        """Give a file that has been written its name among the parts; that name."""
        with file.open("rb") as opened:
            digest = file_digest(opened, "sha256").hexdigest()
            os.fsync(opened.fileno())
        name = f"{table}-{digest[:ID_LENGTH]}.parquet"
        file.replace(self.parts / name)
        _sync(self.parts)
        return name

    def half_made(self, before: float) -> list[Path]:
        """What was to be renamed when it is whole, and was last written to before a time (Unix)."""
        found = []
        for directory in (self.directory, self.snapshots, self.graphs):
            for path in directory.glob(".*"):
                with suppress(FileNotFoundError):  # it is whole by now
                    if path.stat().st_mtime < before:
                        found.append(path)
        return found

    def paths(self, parts: tuple[Part, ...]) -> list[str]:
        """Where parts are."""
        return [str(self.parts / part.name) for part in parts]


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it has its old content or the new one, whatever happens."""
    written = path.with_name(f".{path.name}.{os.getpid()}")
    with written.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    written.replace(path)
    _sync(path.parent)


def _id_of(content: bytes) -> str:
    return sha256(content).hexdigest()[:ID_LENGTH]


def _sync(directory: Path) -> None:
    """Have the names in a directory survive a power cut, where the system can promise that."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
