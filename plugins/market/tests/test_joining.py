from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbproto import Event
from lbproto.messages import Subscribe
from lbproto.testing import VirtualClock, connect, serve
from lbproto_market import (
    Candle,
    MarketChartInitialData,
    MarketChartLiveUpdate,
    MarketDataResponse,
    RequestMarketData,
    market,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import HandFeed

Charts: TypeAlias = dict[str, dict[str, Candle]]
"""What a client has put together: candles by resolution and timestamp."""

_ROOMS = {
    "market:ETH-USDT": "1m",
    "market:ETH-USDT:1s": "1s",
    "market:ETH-USDT:5S": "5s",
}

_STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("trade"), st.integers(-8000, 4000), st.sampled_from(["binance", "kraken"])
        ),
        st.tuples(st.just("advance"), st.integers(0, 3000)),
        st.tuples(st.just("wait"), st.floats(0.001, 0.2)),
        st.tuples(st.just("join"), st.sampled_from(list(_ROOMS))),
        st.tuples(st.just("ask")),
    ),
    min_size=5,
    max_size=40,
)


@pytest.mark.parametrize(
    ("backend", "options"),
    [
        pytest.param("asyncio", {"debug": True}, id="asyncio"),
        pytest.param("asyncio", {"use_uvloop": True}, id="uvloop"),
        pytest.param("trio", {}, id="trio"),
    ],
)
@settings(max_examples=40, deadline=None)
@given(steps=_STEPS, late=st.sampled_from([{}, {}, {"lateness": 2.5}, {"fill": 20}]))
def test_a_client_that_joins_at_any_moment_holds_what_is_answered(
    new_feed: Callable[[], HandFeed],
    backend: str,
    options: dict[str, Any],
    steps: list[tuple[Any, ...]],
    late: dict[str, Any],
) -> None:
    anyio.run(_assemble, new_feed(), steps, late, backend=backend, backend_options=options)


async def _assemble(feed: HandFeed, steps: list[tuple[Any, ...]], late: dict[str, Any]) -> None:
    clock = VirtualClock()
    event_ms, price = 10_000, 10
    charts: Charts = {}
    async with (
        serve(market(feed, **late), clock=clock) as server,
        connect(server, "ada") as client,
    ):
        await client.request(RequestMarketData(symbol="ETH-USDT", resolution="1m"))
        for kind, *values in [*steps, ("ask",)]:
            if kind == "trade":
                offset, venue = values
                event_ms += max(0, offset)
                price += 1
                feed.trade(event_ms + min(0, offset), price, venue)
            elif kind == "advance":
                event_ms += values[0]
                feed.sink.advance(event_ms)
            elif kind == "wait":
                await clock.advance(values[0])
            elif kind == "join":
                client.emit(Subscribe(room=values[0]))
            else:
                for resolution in _ROOMS.values():
                    client.emit(RequestMarketData(symbol="ETH-USDT", resolution=resolution))
                    _put_together(charts, await client.take(), resolution)
            _put_together(charts, await client.take(), "")


def _put_together(charts: Charts, events: list[Event], asked: str) -> None:
    """What a client does with what it gets, in the order in which it gets it."""
    for event in events:
        match event:
            case MarketChartInitialData():
                charts[event.resolution] = {c.timestamp: c for c in event.series}
            case MarketChartLiveUpdate():
                candle = Candle(**{name: getattr(event, name) for name in Candle.__struct_fields__})
                charts[event.resolution][event.timestamp] = candle
            case MarketDataResponse() if asked in charts:
                assembled = [charts[asked][timestamp] for timestamp in sorted(charts[asked])]
                assert assembled[-100:] == event.candles
