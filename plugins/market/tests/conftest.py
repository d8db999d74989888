from __future__ import annotations

import csv
import gzip
import heapq
import json
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

import anyio
import pytest
from anyio import TASK_STATUS_IGNORED, to_thread
from anyio.abc import TaskStatus
from anyio.lowlevel import checkpoint

import lbproto_market
from lbproto import Clock, Plugin, Server, StaticTokens
from lbproto_market import Sink, Trade


@pytest.fixture(
    params=[
        pytest.param(("asyncio", {"debug": True}), id="asyncio"),
        pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"),
        pytest.param(("trio", {}), id="trio"),
    ]
)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


# Rounds of the event loop with no worker thread busy and nobody asking for the time: then nothing
# more is under way.
_QUIET = 10


class VirtualClock:
    """Time that passes only when a test says so, however long anybody sleeps."""

    def __init__(self, wall: float = 1_700_000_000.0) -> None:
        self._wall = wall
        self._passed = 0.0
        self._quiet = 0
        self._sleepers: list[tuple[float, int, anyio.Event]] = []
        self._numbers = count()

    def now(self) -> float:
        return self._wall + self._passed

    def monotonic(self) -> float:
        return self._passed

    def set_wall(self, wall: float) -> None:
        self._wall = wall - self._passed

    async def sleep(self, seconds: float) -> None:
        self._quiet = 0
        if seconds <= 0:
            await checkpoint()
            return
        awake = anyio.Event()
        heapq.heappush(self._sleepers, (self._passed + seconds, next(self._numbers), awake))
        await awake.wait()

    async def advance(self, seconds: float) -> None:
        """Let this much time pass, and everything happen that is due in it."""
        until = self._passed + seconds
        while True:
            await self.settle()
            if not self._sleepers or self._sleepers[0][0] > until:
                break
            self._passed, _, awake = heapq.heappop(self._sleepers)
            awake.set()
        self._passed = until
        await self.settle()

    async def settle(self) -> None:
        """Wait until nothing more happens by itself, in tasks or in worker threads."""
        # anyio.wait_all_tasks_blocked would do, but polls every 0.1 s on asyncio.
        self._quiet = 0
        while self._quiet < _QUIET:
            self._quiet += 1
            await checkpoint()
            if to_thread.current_default_thread_limiter().borrowed_tokens:
                self._quiet = 0


class RecordingSink:
    """What a feed puts into its sink, and when."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.trades: list[Trade] = []
        self.times: list[float] = []
        self.advanced: list[int] = []
        self.seen: list[int] = []  # trades that were there by then

    def add(self, symbol: str, trades: Iterable[Trade]) -> None:
        assert symbol == "ETH-USDT"
        for trade in trades:
            self.trades.append(trade)
            self.times.append(self._clock.monotonic())

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


class Client:
    """A plain WebSocket to an ASGI app in the same process."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._outbound, self._inbound = anyio.create_memory_object_stream[dict[str, Any]](100)
        self._frames: list[dict[str, Any]] = []
        self._outbound.send_nowait({"type": "websocket.connect"})

    async def run(self, server: Server) -> None:
        scope = {
            "type": "websocket",
            "path": "/ws",
            "root_path": "",
            "query_string": b"",
            "headers": [(b"authorization", b"Bearer secret")],
            "subprotocols": ["lbproto.v1.json"],
            "client": ("127.0.0.1", 1),
        }
        with self._inbound, self._outbound:
            await server.asgi()(scope, self._inbound.receive, self._take)

    async def _take(self, message: Any) -> None:
        if message["type"] == "websocket.send":
            frame = json.loads(message["text"])
            frame.pop("offset", None)
            self._frames.append(frame)

    async def send(self, event: str, **data: object) -> list[dict[str, Any]]:
        """Send a request; returns what came since the last call, the answer included."""
        text = json.dumps({"event": event, "data": data, "id": 1})
        self._outbound.send_nowait({"type": "websocket.receive", "text": text})
        return await self.take()

    async def ask(self, **data: object) -> dict[str, Any]:
        """The answer to `request_market_data`."""
        frames = await self.send("request_market_data", **data)
        (answer,) = (frame for frame in frames if "re" in frame)
        return answer

    async def take(self) -> list[dict[str, Any]]:
        await self._clock.settle()
        frames, self._frames = self._frames, []
        return frames


@asynccontextmanager
async def serving(clock: VirtualClock, *plugins: Plugin) -> AsyncIterator[Client]:
    server = Server(plugins, auth=StaticTokens({"secret": "ada"}), clock=clock)
    async with server.lifespan(), anyio.create_task_group() as tasks:
        client = Client(clock)
        tasks.start_soon(client.run, server)
        (connected,) = await client.take()
        assert connected["event"] == "connected"
        yield client
        tasks.cancel_scope.cancel()


Serving: TypeAlias = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


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


@pytest.fixture(scope="session")
def new_clock() -> Callable[[], VirtualClock]:
    """For tests that run their body more than once."""
    return VirtualClock


@pytest.fixture(scope="session", name="serving")
def serving_fixture() -> Serving:
    """Runs a server with plugins, and a client that is connected to it."""
    return serving


@pytest.fixture
def feed() -> HandFeed:
    return HandFeed()


@pytest.fixture(scope="session")
def new_feed() -> Callable[[], HandFeed]:
    return HandFeed
