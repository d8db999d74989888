from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import anyio
import pytest

from lbproto import UsageError
from lbproto.testing import VirtualClock
from lbproto_market import ReplayFeed, Trade, bundled_feed

if TYPE_CHECKING:
    from conftest import RecordingSink

pytestmark = pytest.mark.anyio

_SPAN = 207.355  # seconds from the first to the last of the bundled trades

_FEW = """timestamp_ms,id,side,price,amount
10000,7,buy,10,1
10000,8,buy,11,1
10250,9,buy,12,1
13500,11,buy,13,1
"""

Write = Callable[[str], Path]


async def _run(feed: ReplayFeed, sink: RecordingSink, clock: VirtualClock, seconds: float) -> None:
    async with anyio.create_task_group() as tasks:
        await tasks.start(feed.run, "ETH-USDT", sink, clock)
        await clock.advance(seconds)
        tasks.cancel_scope.cancel()


async def test_in_real_time_the_gaps_are_kept(
    write: Write, sink: RecordingSink, clock: VirtualClock
) -> None:
    await _run(ReplayFeed(write(_FEW), "ETH-USDT"), sink, clock, 10)
    assert [trade.timestamp_ms for trade in sink.trades] == [10_000, 10_000, 10_250, 13_500]
    assert [trade.venue for trade in sink.trades] == ["recording"] * 4
    assert sink.times == pytest.approx([0, 0, 0.25, 3.5], abs=0.002)


async def test_time_passes_also_while_nothing_is_traded(
    write: Write, sink: RecordingSink, clock: VirtualClock
) -> None:
    await _run(ReplayFeed(write(_FEW), "ETH-USDT"), sink, clock, 10)
    assert {11_000, 12_000, 13_000} <= set(sink.advanced)
    assert sink.advanced == sorted(sink.advanced)
    assert max(sink.advanced) < 13_500


@pytest.mark.parametrize("factor", [0.5, 4, 100.0])
async def test_a_factor_shortens_the_gaps(
    bundle: Path,
    recorded_trades: list[Trade],
    sink: RecordingSink,
    clock: VirtualClock,
    factor: float,
) -> None:
    await _run(ReplayFeed(bundle, "ETH-USDT", venue="binance", speed=factor), sink, clock, 500)
    assert sink.trades == recorded_trades
    since = recorded_trades[0].timestamp_ms
    due = [(trade.timestamp_ms - since) / 1000 / factor for trade in recorded_trades]
    assert sink.times == pytest.approx(due, abs=0.002)


async def test_at_full_speed_nothing_is_waited_for(
    bundle: Path, recorded_trades: list[Trade], sink: RecordingSink, clock: VirtualClock
) -> None:
    start = clock.monotonic()
    await ReplayFeed(bundle, "ETH-USDT", venue="binance", speed="max").run("ETH-USDT", sink, clock)
    assert sink.trades == recorded_trades
    assert clock.monotonic() == start


async def test_nothing_is_late_unless_it_was_recorded_late(
    write: Write, sink: RecordingSink, clock: VirtualClock
) -> None:
    # So many trades at once that they come in several parts, of more than one batch.
    rows = [f"{10_000 + number},{number},buy,1,1\n" for number in range(2500)]
    path = write("timestamp_ms,id,side,price,amount\n" + "".join(rows))
    await _run(ReplayFeed(path, "ETH-USDT", speed=100), sink, clock, 10)
    assert len(sink.trades) == 2500
    # One trade a millisecond: by each moment that time is said to have come to, all are there.
    assert len(sink.advanced) > 10
    assert all(seen > ms - 10_000 for ms, seen in zip(sink.advanced, sink.seen, strict=True))


async def test_a_loop_is_moved_to_now(
    bundle: Path, recorded_trades: list[Trade], sink: RecordingSink, clock: VirtualClock
) -> None:
    feed = ReplayFeed(bundle, "ETH-USDT", loop=True, backfill=3)
    now_ms = int(clock.now() * 1000)
    async with anyio.create_task_group() as tasks:
        await tasks.start(feed.run, "ETH-USDT", sink, clock)
        history = len(sink.trades)
        assert 3000 < history <= 4000
        assert now_ms - 10_000 < sink.trades[-1].timestamp_ms <= now_ms
        assert sink.advanced == [now_ms]
        await clock.advance(2.5 * (_SPAN + 1))
        tasks.cancel_scope.cancel()
    live = zip(sink.trades[history:], sink.times[history:], strict=True)
    for trade, at in live:
        assert trade.timestamp_ms == pytest.approx(now_ms + at * 1000, abs=2)
    gaps = _gaps(recorded_trades)
    for start in range(0, 5000, 1000):
        loop = sink.trades[start : start + 1000]
        assert _gaps(loop) == gaps
        assert [trade.price for trade in loop] == [trade.price for trade in recorded_trades]
    assert sink.trades == sorted(sink.trades)
    ids = [trade.id for trade in sink.trades]
    assert len(ids) > 5000
    assert len(set(ids)) == len(ids)


async def test_a_loop_that_is_run_again_is_the_same_again(
    bundle: Path, sink: RecordingSink, clock: VirtualClock
) -> None:
    await _run(ReplayFeed(bundle, "ETH-USDT", loop=True), sink, clock, 100)
    first = list(sink.trades)
    sink.trades.clear()
    await _run(ReplayFeed(bundle, "ETH-USDT", loop=True, backfill=2), sink, clock, 0)
    assert set(first) <= set(sink.trades)


async def test_a_recording_goes_on_as_if_it_had_never_stopped(
    write: Write, sink: RecordingSink, clock: VirtualClock
) -> None:
    feed = ReplayFeed(write(_FEW), "ETH-USDT")
    await _run(feed, sink, clock, 0.1)
    assert [trade.id for trade in sink.trades] == [7, 8]
    await clock.advance(1)
    sink.trades.clear()
    await _run(feed, sink, clock, 0)
    assert [trade.id for trade in sink.trades] == [7, 8, 9]


def _gaps(trades: list[Trade]) -> list[int]:
    return [after.timestamp_ms - before.timestamp_ms for before, after in pairwise(trades)]


@pytest.mark.parametrize("step", [-3600.0, 3600.0])
async def test_a_loop_finds_back_to_now_when_the_clock_is_set(
    write: Write, sink: RecordingSink, clock: VirtualClock, step: float
) -> None:
    feed = ReplayFeed(write(_FEW), "ETH-USDT", loop=True, backfill=0)
    async with anyio.create_task_group() as tasks:
        await tasks.start(feed.run, "ETH-USDT", sink, clock)
        await clock.advance(6)
        clock.set_wall(clock.now() + step)
        await clock.advance(20)
        tasks.cancel_scope.cancel()
    assert sink.trades == sorted(sink.trades)
    # Set back, it goes on from where it was: event time does not run backwards.
    ahead = sink.trades[-1].timestamp_ms / 1000 - clock.now()
    assert ahead == pytest.approx(0 if step > 0 else -step, abs=5)


async def test_a_single_trade_can_be_looped(
    write: Write, sink: RecordingSink, clock: VirtualClock
) -> None:
    path = write("timestamp_ms,id,side,price,amount\n10000,7,buy,10,1\n")
    await _run(ReplayFeed(path, "ETH-USDT", loop=True), sink, clock, 10.5)
    ids = [trade.id for trade in sink.trades]
    assert ids == list(range(ids[0], ids[0] + 12))


@pytest.mark.parametrize("loop", [False, True])
async def test_a_recording_without_trades_is_refused(
    write: Write, sink: RecordingSink, clock: VirtualClock, loop: bool
) -> None:
    feed = ReplayFeed(write("timestamp_ms,id,side,price,amount\nx\n"), "ETH-USDT", loop=loop)
    with pytest.raises(UsageError, match="has no trades"):
        await feed.check()
    with pytest.raises(UsageError, match="has no trades"):  # it may have been cut since
        await feed.run("ETH-USDT", sink, clock)


@pytest.mark.parametrize(
    "arguments",
    [
        {"speed": "fast"},
        {"speed": 0},
        {"speed": -1.0},
        {"speed": float("nan")},
        {"speed": float("inf")},
        {"loop": True, "speed": 2.0},
        {"loop": True, "speed": "max"},
    ],
)
async def test_arguments_that_make_no_sense(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="speed"):
        ReplayFeed("trades.csv", "ETH-USDT", **arguments)


async def test_it_says_what_it_is(
    write: Write, sink: RecordingSink, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    assert "looped and moved to now" in bundled_feed().label
    assert "ETH-USDT (binance, eth-usdt-2023-02-02.csv.gz)" in bundled_feed().label
    speeds: list[Literal["real", "max"] | float] = ["real", "max", 2.5]
    labels = [ReplayFeed("a.csv", "A", speed=speed).label for speed in speeds]
    assert [label.split("times, ")[1] for label in labels] == [
        "in real time",
        "at full speed",
        "2.5 times as fast",
    ]
    with caplog.at_level(logging.INFO):
        await ReplayFeed(write(_FEW), "ETH-USDT", speed="max").run("ETH-USDT", sink, clock)
    assert "replaying recorded trades of ETH-USDT" in caplog.text
    assert "has come to its end" in caplog.text
