from __future__ import annotations

import anyio
import pytest

from lbproto.scheduling.wakeup import Wakeup

pytestmark = pytest.mark.anyio


async def test_it_wakes_again_and_again() -> None:
    wakeup, turns = Wakeup(), list[int]()

    async def run() -> None:
        for turn in range(3):
            await wakeup.wait()
            turns.append(turn)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        for turn in range(3):
            await anyio.wait_all_tasks_blocked()
            assert len(turns) == turn
            wakeup.set()
            wakeup.set()


async def test_what_was_set_before_is_not_waited_for() -> None:
    wakeup = Wakeup()
    wakeup.set()
    await wakeup.wait()
    with anyio.move_on_after(0.01) as scope:
        await wakeup.wait()  # but only once
    assert scope.cancelled_caught


async def test_what_was_cleared_is_waited_for() -> None:
    wakeup = Wakeup()
    wakeup.set()
    wakeup.clear()
    with anyio.move_on_after(0.01) as scope:
        await wakeup.wait()
    assert scope.cancelled_caught


async def test_a_wait_that_was_cancelled_leaves_nothing() -> None:
    wakeup = Wakeup()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wakeup.wait)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    wakeup.set()
    with anyio.fail_after(60):
        await wakeup.wait()


async def test_set_and_cancelled_in_one_turn() -> None:
    wakeup = Wakeup()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wakeup.wait)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
        wakeup.set()
    with anyio.move_on_after(0.01):
        await wakeup.wait()
