"""`lbproto compliance`: chain data are imported, looked at and thinned out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import anyio
import duckdb
import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, TaskID, TaskProgressColumn, TextColumn
from rich.progress import Progress as Bars

from lbproto import NotFound, UsageError
from lbproto_compliance.chains import CHAINS
from lbproto_compliance.importing import Outcome, Progress, import_sources
from lbproto_compliance.sources import SourceError
from lbproto_compliance.sources.choosing import choose
from lbproto_compliance.sources.recorded import Moment
from lbproto_compliance.store import ChainStore, Store

__all__ = ["commands"]

commands = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Import chain data to analyse, and look at what there is.",
)

_Directory = Annotated[Path, typer.Argument(metavar="DIR", help="Where chain data are kept.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]

# What may go wrong with the directory, a full disk among it.
_FAILURES = (SourceError, NotFound, OSError, duckdb.Error)


@commands.command(name="import")
def import_(
    places: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Exports of bitcoin-etl or ethereum-etl (CSV, JSON lines, Parquet; also gzipped), "
            "TagPacks (.yaml), the OFAC's list (.xml), the URL of an Ethereum node, or for Bitcoin "
            "of an explorer with Esplora's HTTP.",
        ),
    ],
    *,
    chain: Annotated[str, typer.Option(metavar="NAME", help=f"One of {', '.join(CHAINS)}.")],
    into: Annotated[Path, typer.Option(metavar="DIR", help="Where chain data are kept.")],
    height: Annotated[
        int | None, typer.Option(min=0, help="The block of files that do not say it.")
    ] = None,
    time: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"], help="When that was made, UTC."
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            help="Names the amounts of one such file, where it tells of no transactions; by "
            "default its digest does."
        ),
    ] = None,
    first: Annotated[
        int | None, typer.Option("--from", min=0, help="The first block to ask a URL for.")
    ] = None,
    last: Annotated[
        int | None, typer.Option("--to", min=0, help="The last; by default the newest.")
    ] = None,
    afresh: Annotated[
        bool, typer.Option("--afresh", help="Do not go on with an import that was interrupted.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Read sources into the store as one new snapshot; run again, it goes on where it ended."""
    if (height is None) != (time is None):
        raise UsageError("--height and --time go together")
    moment = (
        None if height is None or time is None else Moment(height, time.replace(tzinfo=UTC), label)
    )
    with _told():
        store = Store(into).chain(chain)
        sources = choose(chain, places, moment=moment, first=first, last=last)
        with _progress() as tell:
            try:
                outcome = anyio.run(partial(import_sources, store, sources, tell, afresh=afresh))
            except KeyboardInterrupt:
                raise UsageError(
                    "interrupted: run the same again to go on, or with --afresh to begin again"
                ) from None
    _show_outcome(chain, outcome, as_json=as_json)


@commands.command()
def show(directory: _Directory, *, as_json: _Json = False) -> None:
    """List what there is of each chain: snapshots, blocks, rows, and rows set aside."""
    with _told():
        store = Store(directory)
        chains = store.chains()
        if not chains:
            raise UsageError(f"nothing has been imported into {directory}")
        for name in chains:
            _show_chain(store.chain(name), as_json=as_json)


@commands.command()
def prune(
    directory: _Directory,
    *,
    keep: Annotated[int, typer.Option(min=1, help="How many snapshots of each chain stay.")] = 1,
) -> None:
    """Remove old snapshots, and the files that only those had; pages of these cannot go on."""
    with _told():
        store = Store(directory)
        for name in store.chains():
            pruned = store.chain(name).prune(keep)
            _print(
                f"{name}: {len(pruned.snapshots):,} snapshots and {pruned.files:,} files removed, "
                f"{pruned.bytes / 1e6:,.1f} MB"
            )


@contextmanager
def _told() -> Iterator[None]:
    """Have what may go wrong told in a sentence."""
    try:
        yield
    except ModuleNotFoundError as missing:
        raise UsageError(
            f"this source needs {missing.name}: pip install 'lbproto-compliance[import]'"
        ) from missing
    except _FAILURES as error:
        raise UsageError(str(error).partition("\n")[0]) from error


class _Bars:
    """A bar for each source, on a terminal."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._task: TaskID | None = None
        self._number = 0

    def __call__(self, progress: Progress) -> None:
        name = progress.source or "the graph"
        number = progress.number + (not progress.source)
        if self._task is None or number != self._number:
            self._number = number
            self._task = self._bars.add_task(name, total=1 if progress.source else None, rows="")
        if progress.source:
            rows = f"{progress.rows:,} rows"
            if progress.rejected:
                rows += f", {progress.rejected:,} set aside"
            self._bars.update(self._task, completed=progress.done, rows=rows)


@contextmanager
def _progress() -> Iterator[_Bars]:
    """Progress on standard error, where that is a terminal."""
    bars = Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]}"),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )
    with bars:
        yield _Bars(bars)


def _show_outcome(chain: str, outcome: Outcome, *, as_json: bool) -> None:
    snapshot = outcome.snapshot
    if as_json:
        _print_json(
            {
                "chain": chain,
                "snapshot": snapshot.id,
                "heights": snapshot.heights,
                "added": outcome.added,
                "sources": [read._asdict() for read in outcome.read],
            }
        )
        return
    for read in outcome.read:
        if not read.rows and not read.rejected:
            _print(f"{read.name}: nothing new")
            continue
        _print(f"{read.name}: {read.rows:,} rows, {read.rejected:,} set aside")
        for rejected in read.rejects:
            _print(f"  {rejected.place}: {rejected.reason}")
        if read.rejected > len(read.rejects):
            _print(f"  and {read.rejected - len(read.rejects):,} more")
    _print(f"{chain}: snapshot {snapshot.id}, {_blocks(snapshot.heights)}, {outcome.added:,} new")


def _show_chain(store: ChainStore, *, as_json: bool) -> None:
    latest = store.latest().id
    for id_ in store.snapshots():
        manifest = store.layout.read(id_)
        heights = manifest.heights
        rows = {table: manifest.rows(table) for table in manifest.parts}
        if as_json:
            _print_json(
                {
                    "chain": store.name,
                    "snapshot": id_,
                    "latest": id_ == latest,
                    "heights": heights,
                    "rows": rows,
                    "imported": manifest.imported,
                }
            )
            continue
        counts = ", ".join(f"{count:,} {table}" for table, count in rows.items() if count)
        mark = " (latest)" if id_ == latest else ""
        _print(f"{store.name}: snapshot {id_}{mark}, {_blocks(heights)}: {counts}")
        if id_ == latest:
            for one in manifest.imported:
                _print(f"  {one.name}: {one.rows:,} {one.table}, {one.rejected:,} set aside")


def _blocks(heights: tuple[int, int] | None) -> str:
    if heights is None:
        return "no blocks"
    first, last = heights
    return f"block {first:,}" if first == last else f"blocks {first:,} to {last:,}"


def _print(line: str) -> None:
    """A line of text; names and rows of others must not steer the terminal."""
    shown = line if line.isprintable() else line.encode("unicode_escape").decode()
    typer.echo(shown)


def _print_json(value: object) -> None:
    typer.echo(msgspec.json.encode(value).decode())
