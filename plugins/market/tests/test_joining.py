from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbproto_market import market

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import HandFeed, Serving, VirtualClock

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
@given(steps=_STEPS)
def test_a_client_that_joins_at_any_moment_holds_what_is_answered(
    serving: Serving,
    new_clock: Callable[[], VirtualClock],
    new_feed: Callable[[], HandFeed],
    backend: str,
    options: dict[str, Any],
    steps: list[tuple[Any, ...]],
) -> None:
    anyio.run(
        _assemble, serving, new_clock(), new_feed(), steps, backend=backend, backend_options=options
    )


async def _assemble(
    serving: Serving, clock: VirtualClock, feed: HandFeed, steps: list[tuple[Any, ...]]
) -> None:
    event_ms, price = 10_000, 10
    charts: dict[str, dict[str, Any]] = {}  # by resolution: what the client has put together
    async with serving(clock, market(feed)) as client:
        for kind, *values in [*steps, ("ask",)]:
            frames: list[dict[str, Any]] = []
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
                frames = await client.send("subscribe", room=values[0])
            else:
                for resolution in _ROOMS.values():
                    frames += await client.send(
                        "request_market_data", symbol="ETH-USDT", resolution=resolution
                    )
                    _put_together(charts, frames, resolution)
                    frames = []
            _put_together(charts, frames, "")


def _put_together(
    charts: dict[str, dict[str, Any]], frames: list[dict[str, Any]], asked: str
) -> None:
    """What a client does with what it gets, in the order in which it gets it."""
    for frame in frames:
        data = frame["data"]
        if frame["event"] == "market_chart_initial_data":
            charts[data["resolution"]] = {c["timestamp"]: c for c in data["series"]}
        elif frame["event"] == "market_chart_live_update":
            fields = ("timestamp", "open", "high", "low", "close", "volume")
            candle = {field: data[field] for field in fields}
            charts[data["resolution"]][data["timestamp"]] = candle
        elif frame["event"] == "market_data_response" and asked in charts:
            assembled = charts[asked]
            assert [assembled[timestamp] for timestamp in sorted(assembled)] == data["candles"]
