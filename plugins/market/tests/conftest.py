from __future__ import annotations

import csv
import gzip
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from decimal import Decimal
from itertools import count
from pathlib import Path

import anyio
import pytest
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus

import lbproto_market
from lbproto import Clock
from lbproto.testing import Client, Serve, VirtualClock, connect
from lbproto_market import Sink, Trade, market


class RecordingSink:
    """What a feed puts into its sink, and when."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._start = clock.monotonic()
        self.trades: list[Trade] = []
        self.times: list[float] = []
        self.advanced: list[int] = []
        self.seen: list[int] = []  # trades that were there by then

    def add(self, symbol: str, trades: Iterable[Trade]) -> None:
        assert symbol == "ETH-USDT"
        for trade in trades:
            self.trades.append(trade)
            self.times.append(self._clock.monotonic() - self._start)

    def advance(self, milliseconds: int) -> None:
        self.advanced.append(milliseconds)
        self.seen.append(len(self.trades))


class HandFeed:
    """A feed whose trades a test puts in."""

    label = "by hand"
    symbols: Collection[str] = ("ETH-USDT", "BTC-USDT")
    venues: Collection[str] = ("binance", "kraken")

    def __init__(self) -> None:
        self.sink: Sink
        self.failing = anyio.Event()
        self._ids = count(1)

    async def run(
        self, sink: Sink, clock: Clock, *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED
    ) -> None:
        self.sink = sink
        self.trade(1000, 10)
        task_status.started()
        await self.failing.wait()
        raise OSError("the exchange is gone")

    def trade(self, timestamp_ms: int, price: int, venue: str = "binance") -> None:
        trade = Trade(timestamp_ms, next(self._ids), venue, Decimal(price), Decimal(1))
        self.sink.add("ETH-USDT", [trade])


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
def new_feed() -> Callable[[], HandFeed]:
    return HandFeed
