"""The clock that only moves when told."""

from __future__ import annotations

import time

import anyio
import anyio.lowlevel
import pytest

from lbproto.testing import START, VirtualClock, settle

pytestmark = pytest.mark.anyio


async def test_sleepers_wake_in_order_of_their_deadlines() -> None:
    clock = VirtualClock(0.0)
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, *times: float) -> None:
        for seconds in times:
            await clock.sleep(seconds)
            woken.append((name, clock.monotonic()))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sleeper, "late", 3.0)
        tasks.start_soon(sleeper, "often", 1.0, 1.0, 1.5)
        tasks.start_soon(sleeper, "early", 0.5)
        await clock.advance(3.25)
        assert woken == [("early", 0.5), ("often", 1.0), ("often", 2.0), ("late", 3.0)]
        assert clock.now() == START + 3.25
        await clock.advance(0.25)
        assert woken[4:] == [("often", 3.5)]
    assert clock.sleepers == 0


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    clock = VirtualClock(0.0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(clock.sleep, 5.0)
        tasks.start_soon(clock.sleep, 2.0)
        await settle()
        assert clock.sleepers == 2
        tasks.cancel_scope.cancel()
    assert clock.sleepers == 0


async def test_a_jump_is_noticed_later() -> None:
    clock = VirtualClock(0.0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(clock.sleep, 1.0)
        await settle()
        clock.jump(5)
        await settle()
        assert (clock.sleepers, clock.monotonic(), clock.now()) == (1, 5.0, START + 5)
        await clock.advance(0)
        assert (clock.sleepers, clock.monotonic()) == (0, 5.0)


async def test_no_sleep_is_a_checkpoint() -> None:
    clock = VirtualClock(0.0)
    order: list[str] = []

    async def other() -> None:
        order.append("other")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other)
        await clock.sleep(0)
        await clock.sleep(-1)
        order.append("sleeper")
    assert order == ["other", "sleeper"]
    assert clock.monotonic() == 0


async def test_settling_fails_for_a_task_that_never_waits() -> None:
    async def spin() -> None:
        while True:
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(spin)
        with anyio.move_on_after(0.05) as gave_up:
            try:
                await settle()
            except AssertionError:
                gave_up.cancel()
        assert gave_up.cancel_called
        tasks.cancel_scope.cancel()


async def test_time_passes_until_a_condition_holds() -> None:
    clock = VirtualClock(0.0)
    ticks: list[float] = []

    async def tick() -> None:
        while True:
            await clock.sleep(1.0)
            ticks.append(clock.monotonic())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tick)
        assert await clock.advance_until(lambda: len(ticks) == 3, 10.0)
        assert clock.monotonic() == 3.0
        assert await clock.advance_until(lambda: len(ticks) == 3, 10.0)
        assert not await clock.advance_until(lambda: len(ticks) == 9, 1.5)
        assert (clock.monotonic(), len(ticks)) == (4.5, 4)
        tasks.cancel_scope.cancel()


async def test_the_wall_clock_is_set_alone() -> None:
    clock = VirtualClock()
    before = clock.monotonic()
    clock.set_wall(5.0)
    assert (clock.now(), clock.monotonic()) == (5.0, before)
    await clock.advance(2)
    assert clock.now() == 7.0


async def test_settling_waits_for_worker_threads() -> None:
    done: list[str] = []

    async def work() -> None:
        await anyio.to_thread.run_sync(time.sleep, 0.02)
        done.append("work")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)
        await settle()
        assert done == ["work"]
