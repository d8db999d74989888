from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from lbproto_compliance.importing import Outcome, Progress, import_sources
from lbproto_compliance.sources import Batch, Coin, Row, Source, SourceError, Table
from lbproto_compliance.sources.layouts import file_sources
from lbproto_compliance.sources.recorded import Moment
from lbproto_compliance.store import ChainStore, Store

BLOCK = Path(__file__).parents[3] / "query/lbproto_query/data/default/bitcoin_block.parquet"


class Told:
    """A source whose rows are told, a batch each; it may fail behind them."""

    def __init__(
        self, name: str, table: Table, batches: Sequence[Sequence[Row]], *, fails: bool = False
    ) -> None:
        self.name = name
        self.table = table
        self._batches = batches
        self._fails = fails

    async def batches(self, checkpoint: str | None) -> AsyncGenerator[Batch, None]:
        for number in range(int(checkpoint or 0), len(self._batches)):
            done = (number + 1) / len(self._batches)
            yield Batch(list(self._batches[number]), [], str(number + 1), done)
        if self._fails:
            raise SourceError("the node is gone")


def run_import(
    store: ChainStore,
    *sources: Source,
    tell: Callable[[Progress], None] = lambda _: None,
    afresh: bool = False,
) -> Outcome:
    return anyio.run(partial(import_sources, store, sources, tell, afresh=afresh))


@pytest.fixture(scope="session")
def told() -> type[Told]:
    return Told


@pytest.fixture(scope="session")
def imports() -> Callable[..., Outcome]:
    """Reads sources into the store of a chain."""
    return run_import


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "data")


@pytest.fixture(scope="session")
def moment() -> Moment:
    return Moment(481_824, datetime(2017, 8, 24, 1, 57, 37, tzinfo=UTC), "block")


@pytest.fixture(scope="session")
def block_file() -> Path:
    """Every input and output of Bitcoin's block 481824."""
    return BLOCK


@pytest.fixture(scope="session")
def block(tmp_path_factory: pytest.TempPathFactory, moment: Moment) -> ChainStore:
    """The store of that block; tests only read."""
    chain = Store(tmp_path_factory.mktemp("block")).chain("bitcoin")
    run_import(chain, *file_sources("bitcoin", [BLOCK], moment))
    return chain


@pytest.fixture(scope="session")
def coins() -> Callable[..., list[Any]]:
    """Makes the inputs and outputs of one transaction."""
    return make_coins


def make_coins(
    height: int,
    index: int,
    name: str,
    inputs: Sequence[tuple[str | None, int | None, tuple[str, int] | None]],
    outputs: Sequence[tuple[str | None, int]],
) -> list[Any]:
    time = datetime.fromtimestamp(1_500_000_000 + 600 * height, UTC)
    rows: list[Any] = [
        Coin(height, time, index, name, "in", place, address, value, *(spent or (None, None)))
        for place, (address, value, spent) in enumerate(inputs)
    ]
    rows += [
        Coin(height, time, index, name, "out", place, address, value, None, None)
        for place, (address, value) in enumerate(outputs)
    ]
    return rows
