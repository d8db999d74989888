"""The client in Python, against the demo: the reference plugins, by what they are asked most."""

from __future__ import annotations

import sys

import pytest

from lbproto import Client, InsufficientCredits, NotFound, Unauthorized
from lbproto.cli.demo import DemoEcho, DemoEchoed
from lbproto.client import Wire
from lbproto.ids import new_id
from lbproto.messages import CreditsDeducted
from lbproto_market import (
    MarketChartInitialData,
    MarketChartLiveUpdate,
    MarketDataError,
    MarketDataResponse,
    RequestMarketData,
)
from lbproto_query import JOBS, Query, QueryCompleted, QueryResponse
from tests.cli.commands import Running

pytestmark = pytest.mark.anyio

wires = pytest.mark.parametrize("wire", ["plain-json", "plain-msgpack", "socketio-json"])


@wires
async def test_candles_live_and_in_the_past(demo: Running, wire: Wire) -> None:
    async with Client(demo.url, token="demo-ann", wire=wire, events=[MarketDataError]) as client:
        request = RequestMarketData(symbol="ETH-USDT", resolution="5s")
        past = await client.request(request, MarketDataResponse)
        assert len(past.candles) == 100
        with pytest.raises(NotFound, match="no symbol 'DOGE'"):
            await client.subscribe("market:DOGE")
        chart = client.listen(MarketChartInitialData, MarketChartLiveUpdate)
        await client.subscribe("market:ETH-USDT:1s")
        kinds = [type(await anext(chart)) for _ in range(3)]
        assert kinds == [MarketChartInitialData, *[MarketChartLiveUpdate] * 2]


@wires
@pytest.mark.skipif(sys.platform != "linux", reason="queries run on Linux only")
async def test_queries_row_by_row(demo: Running, wire: Wire) -> None:
    rows = 0
    async with Client(demo.url, token="demo-ann", wire=wire, jobs=JOBS) as client:
        sql = "SELECT range FROM range(20000)"
        async with client.job(Query(sql=sql, application_id="default")) as job:
            async for stage in job:
                rows += len(stage.rows.value) if isinstance(stage, QueryResponse) else 0
        assert isinstance(job.outcome, QueryCompleted)
        assert rows == job.outcome.total_rows == 20_000
        with pytest.raises(Unauthorized):
            async with client.job(Query(sql="DROP TABLE trades", application_id="default")):
                raise AssertionError("it has begun")


@wires
async def test_requests_with_a_price(demo: Running, wire: Wire) -> None:
    async with Client(demo.url, token=f"demo-{new_id()}", wire=wire) as client:
        spent = client.listen(CreditsDeducted)
        assert await client.request(DemoEcho(text="hi"), DemoEchoed) == DemoEchoed(text="hi")
        assert (await anext(spent)).new_balance == 99
        with pytest.raises(InsufficientCredits) as short:
            await client.request(DemoEcho(text="x" * 999), DemoEchoed)
        assert (short.value.required, short.value.available) == (100, 99)
