"""Stores: of all chains, and of one; which snapshots there are, and which of them go."""

from __future__ import annotations

import shutil
import time
from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from lbproto import NotFound
from lbproto_compliance.chains import CHAINS
from lbproto_compliance.store.committing import commit
from lbproto_compliance.store.manifest import Layout
from lbproto_compliance.store.snapshots import Snapshot
from lbproto_compliance.store.staging import Staging

__all__ = ["ChainStore", "Pruned", "Store"]

# Opened at once: the newest, and those that readers with a cursor are still going through.
_OPEN = 8

# Seconds since a file was written to, after which nobody is still writing it.
_ABANDONED = 3_600


class Pruned(NamedTuple):
    """What was removed.

    Attributes:
        snapshots: their ids.
        files: how many parts.
        bytes: how much room that makes, graphs left out.
    """

    snapshots: list[str]
    files: int
    bytes: int


class Store:
    """The data of all chains. Everything blocks: call it in worker threads.

    Args:
        directory: one directory below it for each chain.
    """

    def __init__(self, directory: Path | str) -> None:
        self.directory = Path(directory).absolute()
        self._chains: dict[str, ChainStore] = {}
        self._lock = Lock()

    def chain(self, name: str) -> ChainStore:
        """The store of one chain, which may be empty.

        Raises:
            NotFound: there is no such chain.
        """
        if name not in CHAINS:
            raise NotFound(f"there is no such chain: {', '.join(CHAINS)} are known")
        with self._lock:
            if name not in self._chains:
                self._chains[name] = ChainStore(self.directory / name, name)
            return self._chains[name]

    def chains(self) -> list[str]:
        """The chains that something has been imported of."""
        return [name for name in CHAINS if self.chain(name).layout.latest() is not None]


class ChainStore:
    """The data of one chain. Everything blocks; any thread may call it.

    Args:
        directory: of the chain alone.
        name: of the chain.
    """

    def __init__(self, directory: Path, name: str) -> None:
        self.name = name
        self.layout = Layout(directory)
        self._opened: OrderedDict[str, Snapshot] = OrderedDict()
        self._lock = Lock()

    def latest(self) -> Snapshot:
        """The newest snapshot.

        Raises:
            NotFound: nothing has been imported yet.
            UsageError: its manifest is damaged.
        """
        id_ = self.layout.latest()
        if id_ is None:
            raise NotFound(f"there are no data of {self.name}")
        return self.snapshot(id_)

    def snapshot(self, id_: str) -> Snapshot:
        """The snapshot of that id.

        Raises:
            NotFound: there is no such snapshot, or no more.
            UsageError: its manifest is damaged.
        """
        with self._lock:
            found = self._opened.get(id_)
            if found is None or not self.layout.has(id_):  # another process may have pruned it
                self._opened.pop(id_, None)
                found = self._opened[id_] = Snapshot(self.layout, id_)
            self._opened.move_to_end(id_)
            if len(self._opened) > _OPEN:
                self._opened.popitem(last=False)
            return found

    def snapshots(self) -> list[str]:
        """The ids of those that are kept, oldest first."""
        return self.layout.ids()

    def stage(self) -> Staging:
        """Begin an import, or go on with one that was interrupted; to be closed.

        Raises:
            UsageError: another import is under way.
            OSError: the directory cannot be written.
        """
        return Staging(self.layout)

    def commit(self, staging: Staging) -> Snapshot:
        """Make what is staged the latest snapshot, its graph built, and end the import.

        Raises:
            OSError: it cannot be written; then all is as it was.
        """
        latest = self.layout.latest()
        base = None if latest is None else self.layout.read(latest)
        id_ = self.layout.write(commit(self.layout, staging, self.name, base))
        snapshot = self.snapshot(id_)
        snapshot.graph()
        self.layout.publish(id_)
        staging.discard()
        return snapshot

    def prune(self, keep: int) -> Pruned:
        """Remove all snapshots but the newest, files that only those had, and what is half made.

        Half made is what a process was writing that was killed, such as a graph, more than an hour
        ago. A cursor into one that is gone is refused; who reads a page of it just now may fail.

        Args:
            keep: how many to keep, at least 1.

        Raises:
            UsageError: an import is under way, which might go on from what is removed.
        """
        staging = self.stage()
        try:
            return self._prune(max(keep, 1))
        finally:
            staging.close()

    def _prune(self, keep: int) -> Pruned:
        ids = self.layout.ids()
        latest = self.layout.latest()
        gone = [id_ for id_ in ids[:-keep] if id_ != latest]
        with self._lock:
            for id_ in gone:
                self._opened.pop(id_, None)
        for id_ in gone:
            (self.layout.snapshots / f"{id_}.json").unlink()
            shutil.rmtree(self.layout.graphs / id_, ignore_errors=True)
        for path in self.layout.half_made(time.time() - _ABANDONED):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        named = {
            part.name
            for id_ in self.layout.ids()
            for parts in self.layout.read(id_).parts.values()
            for part in parts
        }
        files = [path for path in self.layout.parts.iterdir() if path.name not in named]
        size = sum(path.stat().st_size for path in files)
        for path in files:
            path.unlink()
        return Pruned(gone, len(files), size)
