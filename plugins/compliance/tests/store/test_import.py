"""Imports that are interrupted, repeated, refused; on every event loop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from lbproto import UsageError
from lbproto_compliance.importing import Outcome, Progress, import_sources
from lbproto_compliance.sources import Attribution, SourceError
from lbproto_compliance.sources.layouts import file_sources
from lbproto_compliance.sources.recorded import Moment
from lbproto_compliance.store import ChainStore, Store

Imports = Callable[..., Outcome]
Coins = Callable[..., list[Any]]


@pytest.fixture
def batches(coins: Coins) -> list[list[Any]]:
    return [coins(n, 0, f"t{n}", [(None, None, None)], [("miner", n)]) for n in range(1, 5)]


@pytest.mark.anyio
async def test_progress_is_told_and_readers_see_all_at_once(
    store: Store, told: Any, batches: list[list[Any]]
) -> None:
    chain = store.chain("bitcoin")
    seen: list[Progress] = []

    def tell(progress: Progress) -> None:
        assert store.chains() == []
        seen.append(progress)

    source = told("a", "coins", batches)
    outcome = await import_sources(chain, [source, told("b", "coins", batches[:1])], tell)
    assert [(one.source, one.number, one.done, one.rows) for one in seen] == [
        *(("a", 1, done, rows) for done, rows in ((0, 0), (0.25, 2), (0.5, 4), (0.75, 6), (1, 8))),
        *(("b", 2, 0, 0), ("b", 2, 1, 2), ("", 2, 1, 0)),
    ]
    assert outcome.added == 8
    assert [(read.name, read.rows) for read in outcome.read] == [("a", 8), ("b", 2)]
    assert store.chains() == ["bitcoin"]


@pytest.mark.anyio
async def test_one_that_is_cancelled_goes_on(
    store: Store, told: Any, batches: list[list[Any]]
) -> None:
    chain = store.chain("bitcoin")
    source = told("a", "coins", batches)
    with anyio.CancelScope() as scope:
        await import_sources(chain, [source], lambda one: scope.cancel() if one.rows == 4 else None)
    assert scope.cancelled_caught
    assert store.chains() == []
    rows: list[int] = []
    outcome = await import_sources(chain, [source], lambda one: rows.append(one.rows))
    assert max(rows) == 4
    assert outcome.read[0].rows == outcome.added == 8


def test_one_whose_source_fails_goes_on(
    store: Store, imports: Imports, told: Any, batches: list[list[Any]]
) -> None:
    chain = store.chain("bitcoin")
    with pytest.raises(SourceError, match="the node is gone"):
        imports(chain, told("a", "coins", batches[:3], fails=True))
    outcome = imports(chain, told("a", "coins", batches))
    assert len(outcome.snapshot.page("miner", 9)) == 4
    # The same as without the failure.
    other = Store(store.directory / "other").chain("bitcoin")
    assert imports(other, told("a", "coins", batches)).snapshot.id == outcome.snapshot.id


def test_an_interrupted_one_is_not_mixed_with_others(
    store: Store, imports: Imports, told: Any, batches: list[list[Any]]
) -> None:
    chain = store.chain("bitcoin")
    with pytest.raises(SourceError):
        imports(chain, told("a", "coins", batches[:3], fails=True))
    with pytest.raises(UsageError, match="an import of a was interrupted: name the same again"):
        imports(chain, told("b", "coins", batches[:1]))
    assert imports(chain, told("b", "coins", batches[:1]), afresh=True).added == 2


def test_what_cannot_be_imported_is_refused(
    store: Store, imports: Imports, told: Any, batches: list[list[Any]]
) -> None:
    chain = store.chain("ethereum")
    with pytest.raises(UsageError, match="a has coins, which ethereum has none of"):
        imports(chain, told("a", "coins", batches))
    with pytest.raises(UsageError, match="the same is named twice: a, a"):
        imports(chain, *[told("a", "attributions", [])] * 2)


def test_a_source_without_rows_changes_nothing(
    store: Store, imports: Imports, told: Any, batches: list[list[Any]]
) -> None:
    chain = store.chain("bitcoin")
    first = imports(chain, told("a", "coins", batches))
    again = imports(chain, told("a", "coins", batches))
    assert (again.snapshot.id, again.added) == (first.snapshot.id, 0)
    said = Attribution("miner", "Pool", "mining_pool", "list", None, None, 1, None, None)
    named = imports(chain, told("l", "attributions", [[said]]))
    assert named.snapshot.id != first.snapshot.id
    assert len(named.snapshot.page("miner", 9)) == 4


_IMPORT = """
import sys
from datetime import UTC, datetime
from pathlib import Path

import anyio

from lbproto_compliance.importing import import_sources
from lbproto_compliance.sources import files
from lbproto_compliance.sources.layouts import file_sources
from lbproto_compliance.sources.recorded import Moment
from lbproto_compliance.store import Store

files.BATCH = 500
moment = Moment(481_824, datetime(2017, 8, 24, 1, 57, 37, tzinfo=UTC), "block")
sources = file_sources("bitcoin", [Path(sys.argv[2])], moment)

def tell(progress):
    print(progress.rows, flush=True)
    if progress.rows > int(sys.argv[3]):
        sys.stdin.read()  # to be killed here

anyio.run(import_sources, Store(sys.argv[1]).chain("bitcoin"), sources, tell)
"""


def killed(directory: Path, file: Path, rows: int) -> int:
    """Start an import, and kill it behind so many rows; how many it had read."""
    process = subprocess.Popen(
        [sys.executable, "-c", _IMPORT, str(directory), str(file), str(rows)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) > rows:
                break
        process.send_signal(signal.SIGKILL)
    return int(line)


def test_one_that_is_killed_goes_on_with_nothing_twice_and_nothing_missing(
    store: Store,
    imports: Imports,
    block: ChainStore,
    block_file: Path,
    moment: Moment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert killed(store.directory, block_file, 2_000) < 3_000
    assert killed(store.directory, block_file, 1_500) < 3_000  # rows of this run alone
    assert store.chains() == []
    chain = store.chain("bitcoin")
    monkeypatch.setattr("lbproto_compliance.sources.files.BATCH", 500)
    rows: list[int] = []
    sources = file_sources("bitcoin", [block_file], moment)
    outcome = imports(chain, *sources, tell=lambda one: rows.append(one.rows))
    assert max(rows) < 9_317 - 3_000
    assert (outcome.added, outcome.read[0].rows) == (9_317, 9_317)
    # To the byte what it is without that, whatever the size of batches.
    assert outcome.snapshot.id == block.latest().id


def test_one_that_dies_at_its_end_makes_the_same_snapshot(
    store: Store,
    imports: Imports,
    told: Any,
    batches: list[list[Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chain = store.chain("bitcoin")
    source = told("a", "coins", batches)

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    for place in ("Layout.adopt", "Layout.write", "Snapshot.graph", "Staging.discard"):
        name, _, method = place.partition(".")
        module = {"Layout": "manifest", "Snapshot": "snapshots", "Staging": "staging"}[name]
        with monkeypatch.context() as patched:
            patched.setattr(f"lbproto_compliance.store.{module}.{place}", die)
            with pytest.raises(KeyboardInterrupt):
                imports(chain, source)
        assert store.chains() == (["bitcoin"] if method == "discard" else [])
    outcome = imports(chain, source)
    assert outcome.snapshot.manifest.rows("coins") == 8
    assert outcome.snapshot.manifest.imported[0].rows == 8
    assert chain.snapshots() == [outcome.snapshot.id]


_ON_A_SMALL_DISK = """
import resource, signal

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
"""


def test_a_full_disk_is_told_and_costs_nothing(
    store: Store, imports: Imports, block: ChainStore, block_file: Path, moment: Moment
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _ON_A_SMALL_DISK + _IMPORT, store.directory, block_file, "9999"],
        check=False,
        capture_output=True,
        text=True,
        # What measures it would have no room to write to either.
        env={name: value for name, value in os.environ.items() if "COVERAGE" not in name},
    )
    assert "File too large" in done.stderr.splitlines()[-1]
    assert store.chains() == []
    outcome = imports(store.chain("bitcoin"), *file_sources("bitcoin", [block_file], moment))
    assert outcome.snapshot.id == block.latest().id


def test_two_at_a_time_in_one_process_are_refused(
    store: Store, imports: Imports, told: Any, batches: list[list[Any]]
) -> None:
    chain = store.chain("bitcoin")
    staging = chain.stage()
    for again in (chain.stage, lambda: chain.prune(1)):
        with pytest.raises(UsageError, match="is under way"):
            again()
    staging.close()
    assert imports(chain, told("a", "coins", batches)).added == 8


def test_two_at_a_time_are_refused(
    store: Store, imports: Imports, told: Any, block_file: Path, batches: list[list[Any]]
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _IMPORT, str(store.directory), str(block_file), "1000"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"0\n"
        with pytest.raises(UsageError, match=r"another import into .* is under way"):
            imports(store.chain("bitcoin"), told("a", "coins", batches))
        process.kill()
