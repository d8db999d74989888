"""Imports: sources are read into the store, batch by batch, and what came is told.

A batch and the checkpoint behind it are stored together, so an import that ends in any way goes on
where it was when the same sources are named again. Readers see nothing of it before its end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import NamedTuple

from anyio import to_thread

from lbproto import UsageError
from lbproto_compliance.chains import CHAINS
from lbproto_compliance.sources import Rejected, Source
from lbproto_compliance.sources.records import CutOff
from lbproto_compliance.store import ChainStore, Snapshot
from lbproto_compliance.store.staging import Staging

__all__ = ["Outcome", "Progress", "Read", "import_sources"]

_SHOWN_REJECTS = 5


class Progress(NamedTuple):
    """How far an import is.

    Attributes:
        source: what is being read; empty while the snapshot is made.
        number: of the source, from 1.
        sources: how many there are.
        done: how much of this one has been read, 0 to 1.
        rows: read of it by this run.
        rejected: rows of it that this run set aside.
    """

    source: str
    number: int
    sources: int
    done: float
    rows: int
    rejected: int


class Read(NamedTuple):
    """What came of one source.

    Attributes:
        name: the source's.
        rows: read of it, since this import first began.
        rejected: rows set aside.
        rejects: the first few of them.
    """

    name: str
    rows: int
    rejected: int
    rejects: list[Rejected]


class Outcome(NamedTuple):
    """What came of an import.

    Attributes:
        snapshot: the latest one now; the same as before where there was nothing new.
        added: rows of payments that the store did not hold; 0 for lists of attributions.
        read: what came of each source, in the order that they were named in.
    """

    snapshot: Snapshot
    added: int
    read: list[Read]


async def import_sources(
    store: ChainStore,
    sources: Sequence[Source],
    tell: Callable[[Progress], None],
    *,
    afresh: bool = False,
) -> Outcome:
    """Read sources into the store, build the snapshot's graph, and make it the latest.

    Args:
        store: of one chain.
        sources: at least one; read one after the other.
        tell: called before a source is read, and after each batch.
        afresh: drop what an interrupted import has read, instead of going on with it.

    Raises:
        SourceError: a source cannot go on; what was read stays, except of a file that is cut off.
        UsageError: two sources are the same, one is of another kind of chain, another import is
            under way, or one of other sources was interrupted.
        OSError: the store cannot be written.
    """
    names = [source.name for source in sources]
    if len(set(names)) < len(names):
        raise UsageError(f"the same is named twice: {', '.join(sorted(names))}")
    table = "coins" if CHAINS[store.name].kind == "coins" else "transfers"
    for source in sources:
        if source.table not in (table, "attributions"):
            raise UsageError(f"{source.name} has {source.table}, which {store.name} has none of")
    staging = await to_thread.run_sync(store.stage)
    try:
        if afresh:
            await to_thread.run_sync(staging.discard)
            staging = await to_thread.run_sync(store.stage)
        await to_thread.run_sync(staging.expect, names)
        before = await to_thread.run_sync(_checkpoints, store)
        for number, source in enumerate(sources, start=1):
            await _read(staging, source, before.get(source.name), tell, number, len(sources))
        tell(Progress("", len(sources), len(sources), 1, 0, 0))
        return await to_thread.run_sync(_finish, store, staging, names)
    finally:
        staging.close()  # in no thread: there is no waiting in a scope that is cancelled


async def _read(
    staging: Staging,
    source: Source,
    before: str | None,
    tell: Callable[[Progress], None],
    number: int,
    of: int,
) -> None:
    rows = rejected = 0
    tell(Progress(source.name, number, of, 0, 0, 0))
    checkpoint = await to_thread.run_sync(staging.checkpoint, source.name)
    try:
        async with aclosing(source.batches(checkpoint or before)) as batches:
            async for batch in batches:
                await to_thread.run_sync(staging.add, source.name, source.table, batch)
                rows += len(batch.rows)
                rejected += len(batch.rejected)
                tell(Progress(source.name, number, of, batch.done, rows, rejected))
    except CutOff:
        await to_thread.run_sync(staging.drop, source.name)
        raise


def _checkpoints(store: ChainStore) -> dict[str, str]:
    """Behind which sources go on that were imported before."""
    if store.layout.latest() is None:
        return {}
    return {one.name: one.checkpoint for one in store.latest().manifest.imported}


def _finish(store: ChainStore, staging: Staging, names: list[str]) -> Outcome:
    staged = {one.name: one for one in staging.sources()}
    read = [
        Read(name, staged[name].rows, staged[name].rejected, staging.rejects(name, _SHOWN_REJECTS))
        if name in staged
        else Read(name, 0, 0, [])
        for name in names
    ]
    before = 0 if store.layout.latest() is None else _payments(store.latest())
    snapshot = store.commit(staging)
    return Outcome(snapshot, _payments(snapshot) - before, read)


def _payments(snapshot: Snapshot) -> int:
    return snapshot.manifest.rows("coins") + snapshot.manifest.rows("transfers")
