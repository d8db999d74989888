from __future__ import annotations

import csv
import gzip
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from decimal import Decimal
from importlib.util import module_from_spec, spec_from_file_location
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus

import lbproto_market
from lbproto import Clock
from lbproto.testing import Client, Serve, VirtualClock, connect
from lbproto_market import Sink, Trade, market

if TYPE_CHECKING:
    from exchange_server import Dealt, ExchangeServer


class RecordingSink:
    """What a feed puts into its sink, and when."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._start = clock.monotonic()
        self.trades: list[Trade] = []
        self.times: list[float] = []
        self.advanced: list[int] = []
        self.seen: list[int] = []  # trades that were there by then

    def add(self, trades: Iterable[Trade], now_ms: int | None = None) -> None:
        for trade in trades:
            self.trades.append(trade)
            self.times.append(self._clock.monotonic() - self._start)

    def advance(self, milliseconds: int) -> None:
        self.advanced.append(milliseconds)
        self.seen.append(len(self.trades))


class HandFeed:
    """A feed whose trades a test puts in.

    Attributes:
        sink: where those of ETH-USDT go.
        failing: set: each run of ETH-USDT fails, once it has put in its history.
        runs: how often it was started, by symbol.
        running: the symbols that it runs for just now.
    """

    label = "by hand"

    def __init__(
        self,
        symbols: Collection[str] = ("ETH-USDT", "BTC-USDT"),
        venues: Collection[str] = ("binance", "kraken"),
    ) -> None:
        self.symbols: Mapping[str, Collection[str]] = dict.fromkeys(symbols, venues)
        self.sinks: dict[str, Sink] = {}
        self.failing = anyio.Event()
        self.failure: BaseException = OSError("the exchange is gone")
        self.runs: Counter[str] = Counter()
        self.running: set[str] = set()
        self._ids = count(1)

    @property
    def sink(self) -> Sink:
        return self.sinks["ETH-USDT"]

    async def check(self) -> None: ...

    async def run(
        self,
        symbol: str,
        sink: Sink,
        clock: Clock,
        *,
        task_status: TaskStatus[None] = TASK_STATUS_IGNORED,
    ) -> None:
        self.sinks[symbol] = sink
        self.runs[symbol] += 1
        self.running.add(symbol)
        try:
            if self.runs[symbol] == 1:
                self.trade(1000, 10, next(iter(self.symbols[symbol])), symbol)
            task_status.started()
            await (self.failing if symbol == "ETH-USDT" else anyio.Event()).wait()
            raise self.failure
        finally:
            self.running.remove(symbol)

    def trade(
        self, timestamp_ms: int, price: int, venue: str = "binance", symbol: str = "ETH-USDT"
    ) -> Trade:
        trade = Trade(timestamp_ms, next(self._ids), venue, Decimal(price), Decimal(1))
        self.sinks[symbol].add([trade])
        return trade


@pytest.fixture
def sink(clock: VirtualClock) -> RecordingSink:
    return RecordingSink(clock)


@pytest.fixture(scope="session")
def bundle() -> Path:
    """The recording that comes with the package."""
    return Path(lbproto_market.__file__).parent / "data" / "eth-usdt-2023-02-02.csv.gz"


@pytest.fixture(scope="session")
def recorded_trades(bundle: Path) -> list[Trade]:
    """Its trades, read by nothing of ours."""
    with gzip.open(bundle, "rt") as file:
        return [
            Trade(
                int(row["timestamp_ms"]),
                int(row["id"]),
                "binance",
                Decimal(row["price"]),
                Decimal(row["amount"]),
                "buy" if row["side"] == "buy" else "sell",
            )
            for row in csv.DictReader(file)
        ]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a CSV file."""

    def to(text: str) -> Path:
        path = tmp_path / "trades.csv"
        path.write_text(text)
        return path

    return to


@pytest.fixture
def feed() -> HandFeed:
    return HandFeed()


@pytest.fixture
async def client(serve: Serve, feed: HandFeed) -> AsyncIterator[Client]:
    """A client of a server with the market plugin, on the feed `feed` and the clock `clock`."""
    async with serve(market(feed)) as server, connect(server, "ada") as client:
        yield client


@pytest.fixture(scope="session")
def new_feed() -> type[HandFeed]:
    return HandFeed


def _beside(name: str) -> Any:
    """A module of this directory, which is not a package."""
    spec = spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def exchanges() -> Any:
    """The module `exchange_server`."""
    return _beside("exchange_server")


@pytest.fixture(scope="session")
def new_exchange(exchanges: Any) -> type[ExchangeServer]:
    made: type[ExchangeServer] = exchanges.ExchangeServer
    return made


@pytest.fixture(scope="session")
def deal(exchanges: Any) -> type[Dealt]:
    made: type[Dealt] = exchanges.Dealt
    return made
