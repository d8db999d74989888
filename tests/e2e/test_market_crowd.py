"""Five hundred clients, forty symbols, and five who do not read: no closed candle is missed."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio
import pytest

from tests.e2e.clients import SECONDS, PlainClient
from tests.e2e.market_crowd import CANDLES, SYMBOLS
from tests.serving import ServerProcess, serving

pytestmark = pytest.mark.anyio

CLIENTS, STALLED = 500, 5
CANDLE = ("open", "high", "low", "close", "volume")

Candles = dict[str, tuple[float, ...]]


@pytest.fixture(params=["uvicorn-direct", "hypercorn-trio"])
def server(request: pytest.FixtureRequest) -> Any:
    with serving("tests.e2e.market_crowd:app", request.param) as process:
        yield process


class Follower:
    """A client that keeps what it is sent, and puts it together later."""

    def __init__(self, client: PlainClient, symbols: list[str]) -> None:
        self.client = client
        self.symbols = symbols
        self._messages: list[str | bytes] = []

    async def join(self) -> None:
        for symbol in self.symbols:
            await self.client.send("subscribe", {"room": f"market:{symbol}:1s"})

    async def joined(self) -> None:
        """Read until it is in all rooms."""
        for _ in self.symbols:
            await self._read_until("market_chart_initial_data")

    async def follow(self) -> None:
        """Read what has come so far."""
        await self.client.send("ping")
        await self._read_until('"pong"')

    async def watch(self) -> None:
        """Read what comes while it comes, up to the last candle."""
        await self._read_until(f"00:{CANDLES // 60:02}:{CANDLES % 60:02}.000Z")

    async def _read_until(self, text: str) -> None:
        with anyio.fail_after(SECONDS):
            while True:
                message = await self.client.websocket.recv()
                self._messages.append(message)
                if text in str(message):
                    return

    def check(self, charts: dict[str, Candles]) -> None:
        """What was sent makes the chart that is answered; no closed candle is missing."""
        assembled: dict[str, Candles] = {symbol: {} for symbol in self.symbols}
        closed: dict[str, list[str]] = {symbol: [] for symbol in self.symbols}
        for message in self._messages:
            frame = json.loads(message)
            data = frame["data"]
            if frame["event"] == "market_chart_live_update":
                assembled[data["symbol"]][data["timestamp"]] = _figures(data)
                if data["closed"]:
                    closed[data["symbol"]].append(data["timestamp"])
        for symbol in self.symbols:
            assert assembled[symbol] == charts[symbol]
            assert closed[symbol] == sorted(charts[symbol])[:-1]  # in order, once each
            assert len(closed[symbol]) == CANDLES


def _figures(candle: Any) -> tuple[float, ...]:
    return tuple(candle[name] for name in CANDLE)


@asynccontextmanager
async def _stalling(server: ServerProcess) -> AsyncIterator[PlainClient]:
    """A client whose kernel holds little for it; much less would make TCP itself stop and go."""
    own = socket.socket()
    own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 128 * 1024)
    own.connect(("127.0.0.1", server.port))
    async with PlainClient.connecting(
        server, "bob", sock=own, max_queue=1, compression=None, close_timeout=0.5
    ) as client:
        yield client


async def test_nobody_misses_a_closed_candle(server: ServerProcess) -> None:
    fast: list[Follower] = []
    async with AsyncExitStack() as stack:
        stalled = [
            Follower(await stack.enter_async_context(_stalling(server)), SYMBOLS)
            for _ in range(STALLED)
        ]
        for number in range(CLIENTS - STALLED):
            client = await stack.enter_async_context(
                PlainClient.connecting(server, compression=None, max_queue=None)
            )
            fast.append(Follower(client, [SYMBOLS[number % len(SYMBOLS)]]))
        everybody = [*stalled, *fast]
        async with anyio.create_task_group() as tasks:
            for follower in everybody:
                tasks.start_soon(follower.join)
        async with anyio.create_task_group() as tasks:
            for follower in fast:
                tasks.start_soon(follower.joined)
        async with PlainClient.connecting(server, "eve") as eve:
            async with anyio.create_task_group() as tasks:
                for follower in fast:
                    tasks.start_soon(follower.watch)
                fared = (await eve.call("deal"))["data"]
            async with anyio.create_task_group() as tasks:
                for follower in everybody:  # and now those read again who did not
                    tasks.start_soon(follower.follow)
            charts = {symbol: await _chart(eve, symbol) for symbol in SYMBOLS}
        for follower in everybody:  # at once, and not one farewell after the other
            follower.client.websocket.transport.abort()
        if server.kind == "hypercorn-trio":  # under the other one it waits in the kernel
            assert fared["conflated"] > 0
        assert (fared["dropped"], fared["slowConsumers"]) == (0, 0)
        for follower in everybody:
            follower.check(charts)


async def _chart(client: PlainClient, symbol: str) -> Candles:
    window = {"from": 0, "to": 900_000}
    request = {"symbol": symbol, "resolution": "1s", "window": window}
    candles = (await client.call("request_market_data", request))["data"]["candles"]
    return {candle["timestamp"]: _figures(candle) for candle in candles}
