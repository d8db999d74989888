"""A client that joins at any moment holds, from then on, exactly what a request answers.

The feed is fast, and some trades come late: candles close, open and are amended while clients join.
"""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.e2e.clients import JSON, MSGPACK, SECONDS, PlainClient
from tests.e2e.conftest import Serve
from tests.e2e.feed import SYMBOL
from tests.serving import ServerProcess

pytestmark = pytest.mark.anyio

CANDLE = ("timestamp", "open", "high", "low", "close", "volume")
ROOMS = {"": "1m", ":1m": "1m", ":1": "1m", ":1s": "1s", ":1S": "1s", ":5s": "5s", ":15s": "15s"}

Candles = dict[str, dict[str, Any]]


class Follower:
    """A client that assembles one chart from what it is sent, and nothing else."""

    def __init__(self, client: PlainClient, room: str) -> None:
        self._client = client
        self._room = f"market:{SYMBOL}{room}"
        self._resolution = ROOMS[room]
        self._chart: Candles | None = None
        self.updates = 0

    async def join(self) -> None:
        """Join, or join again; the chart that comes is complete."""
        self._chart = None
        await self._client.send("subscribe", {"room": self._room})
        await self._until("market_chart_initial_data")

    async def follow(self) -> None:
        """Take what has come so far."""
        await self._client.send("ping")
        await self._until("pong")

    async def check(self) -> None:
        """Ask for the chart: it is what has been assembled."""
        request = {"symbol": SYMBOL, "resolution": self._resolution}
        await self._client.send("request_market_data", request)
        candles = (await self._until("market_data_response"))["candles"]
        assert self._chart is not None
        newest = [self._chart[at] for at in sorted(self._chart) if at >= candles[0]["timestamp"]]
        assert newest == candles

    async def _until(self, event: str) -> Any:
        with anyio.fail_after(SECONDS):
            return await self._take_until(event)

    async def _take_until(self, event: str) -> Any:
        while True:
            frame = await self._client.next()
            data = frame["data"]
            if frame["event"] == "market_chart_initial_data":
                self._chart = {candle["timestamp"]: candle for candle in data["series"]}
            elif frame["event"] == "market_chart_live_update" and self._chart is not None:
                # Before that, while joining again, they belong to the chart that was left.
                assert data["resolution"] == self._resolution
                self._chart[data["timestamp"]] = {name: data[name] for name in CANDLE}
                self.updates += 1
            if frame["event"] == event:
                return data


async def _halt(server: ServerProcess, halted: bool) -> None:
    async with PlainClient.connecting(server, "eve") as client:
        assert (await client.call("halt", {"halted": halted}))["event"] == "halted"


@pytest.mark.parametrize("kind", ["uvicorn-uvloop", "uvicorn-direct", "hypercorn-trio", "granian"])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(list(ROOMS)),
            st.sampled_from([JSON, MSGPACK]),
            st.integers(0, 30),  # round trips before it joins
            st.booleans(),  # whether it joins again
        ),
        min_size=3,
        max_size=8,
    )
)
@settings(
    max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_a_chart_has_neither_gaps_nor_overlaps(
    serve: Serve, kind: str, plan: list[tuple[str, str, int, bool]]
) -> None:
    server = serve("tests.e2e.app:fast", kind)
    await _halt(server, False)
    following = 0
    all_follow, halted = anyio.Event(), anyio.Event()

    async def client(room: str, subprotocol: str, trips: int, again: bool) -> None:
        nonlocal following
        async with PlainClient.connecting(server, subprotocols=[subprotocol]) as connected:
            follower = Follower(connected, room)
            for _ in range(trips):
                await follower.follow()
            await follower.join()
            while follower.updates < 20:
                await follower.follow()
            if again:
                await follower.join()
            following += 1
            if following == len(plan):
                all_follow.set()
            while not halted.is_set():
                await follower.follow()
            await follower.follow()
            await follower.check()

    async with anyio.create_task_group() as tasks:
        for arguments in plan:
            tasks.start_soon(client, *arguments)
        await all_follow.wait()
        await _halt(server, True)
        halted.set()
