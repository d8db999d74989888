"""The clock port, the fake one that the tests use, and the contract's form of a moment."""

from __future__ import annotations

import time

import anyio
import anyio.lowlevel
import pytest

from lbproto import SystemClock
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


async def test_the_machines_clock_waits_and_never_steps_back() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(0.01)
    await clock.sleep(-5)
    assert clock.monotonic() - before >= 0.01
    assert abs(clock.now() - time.time()) < 60
