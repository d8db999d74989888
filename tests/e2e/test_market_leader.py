"""Two servers that share a market's feeds: one runs them, both serve, and it is killed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
import socketio

from tests.e2e.clients import SECONDS
from tests.e2e.market_nodes import BROKER, RUNS
from tests.e2e.pairs import serving_two
from tests.ledger.servers import Valkey
from tests.serving import ServerProcess

pytestmark = pytest.mark.anyio

APP = "tests.e2e.market_nodes:app"
SYMBOL = "BTC-USDT"
ROOM = f"market:{SYMBOL}:1s"


class Viewer:
    """A stock client that looks at a chart.

    Attributes:
        closed: the candles that it was told to be closed, in order.
    """

    def __init__(self) -> None:
        self.client = socketio.AsyncClient(reconnection=False)
        self.client.on("market_chart_live_update", self._update)
        self.client.on("market_chart_initial_data", self._begin)
        self.series: list[Any] = []
        self.closed: list[Any] = []
        self._more = anyio.Event()

    async def _begin(self, chart: Any, *_: Any) -> None:
        self.series = chart["series"]

    async def _update(self, update: Any, *_: Any) -> None:
        assert self.series, "an update came before the chart"
        if update["closed"]:
            self.closed.append(update)
            self._more.set()

    async def until_closed(self, more: int) -> None:
        wanted = len(self.closed) + more
        with anyio.fail_after(SECONDS):
            while len(self.closed) < wanted:
                self._more = anyio.Event()
                await self._more.wait()

    async def ask(self, event: str, data: Any) -> Any:
        answer = await self.client.call(event, data, timeout=SECONDS)
        assert answer["ok"], answer
        return answer["data"]


@asynccontextmanager
async def viewing(node: ServerProcess, user: str) -> AsyncIterator[Viewer]:
    viewer = Viewer()
    await viewer.client.connect(
        node.http, auth={"token": user}, transports=["websocket"], wait_timeout=SECONDS
    )
    try:
        await viewer.ask("subscribe", {"room": ROOM})
        yield viewer
    finally:
        await viewer.client.disconnect()


def told_once(viewer: Viewer) -> bool:
    times = [update["timestamp"] for update in viewer.closed]
    return times == sorted(set(times))


def prices(candle: Any) -> list[Any]:
    return [candle[name] for name in ("timestamp", "open", "high", "low", "close", "volume")]


async def test_one_has_the_feeds_for_both_and_is_succeeded_when_it_is_killed(
    valkey: Valkey, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(RUNS, str(runs))
        with serving_two(APP, BROKER, valkey.url) as (leader, other):
            async with viewing(other, "bob") as bob, AsyncExitStack() as leaders:
                ada = await leaders.enter_async_context(viewing(leader, "ada"))
                for viewer in (bob, ada):
                    await viewer.until_closed(2)
                assert len(runs.read_text().splitlines()) == 1

                now = bob.closed[-1]["timestamp"]
                window = {"from": ada.closed[0]["timestamp"], "to": now}
                request = {"symbol": SYMBOL, "resolution": "1s", "window": window}
                answers = [await each.ask("request_market_data", request) for each in (ada, bob)]
                assert answers[0] == answers[1]
                assert answers[0]["candles"]
                listed = await bob.ask("market_symbols", {})
                assert [each["live"] for each in listed["symbols"]] == [True, False, False]
                refused = await bob.client.call("subscribe", {"room": "market:NONE"})
                assert refused["error"]["code"] == "NOT_FOUND"
                assert all(map(told_once, (ada, bob)))

                leader.kill()
                await bob.until_closed(2)
                (before, one), (after, two) = map(str.split, runs.read_text().splitlines())
                assert one == two == SYMBOL
                assert before != after
                # Nothing is missing in the chart, and nothing has changed in it.
                now = max(update["timestamp"] for update in bob.closed)
                request["window"] = {**window, "to": now}
                known = [*bob.series, *bob.closed]
                shown = {candle["timestamp"]: prices(candle) for candle in known}
                answer = (await bob.ask("request_market_data", request))["candles"]
                assert answer[: len(answers[0]["candles"])] == answers[0]["candles"]
                for candle in answer:
                    assert shown.get(candle["timestamp"]) == prices(candle)
