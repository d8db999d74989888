"""Running a coroutine in place, and learning whether it had to wait."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from lbproto.scheduling.suspension import notify_suspension
from lbproto.testing import settle

pytestmark = pytest.mark.anyio


class Told:
    """Counts how often it was told."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


async def test_work_that_does_not_wait_is_done_in_place() -> None:
    told = Told()
    seen: list[str] = []

    async def other() -> None:
        seen.append("other")

    async def work() -> int:
        seen.append("work")
        return 7

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other)
        assert await notify_suspension(work(), told) == 7
        assert seen == ["work"]  # not even one turn of the event loop has passed
    assert told.times == 0


async def test_work_that_waits_tells_once_and_while_it_waits() -> None:
    seen: list[str] = []

    async def work() -> str:
        seen.append("before")
        for _ in range(5):
            await checkpoint()
        await anyio.sleep(0.001)
        seen.append("after")
        return "done"

    assert await notify_suspension(work(), lambda: seen.append("told")) == "done"
    assert seen == ["before", "told", "after"]


async def test_an_error_comes_out_as_it_is() -> None:
    told = Told()

    async def at_once() -> None:
        raise ValueError("at once")

    async def later() -> None:
        await checkpoint()
        raise ValueError("later")

    with pytest.raises(ValueError, match="at once"):
        await notify_suspension(at_once(), told)
    assert told.times == 0
    with pytest.raises(ValueError, match="later"):
        await notify_suspension(later(), told)
    assert told.times == 1


async def test_a_cancellation_goes_into_the_work() -> None:
    seen: list[str] = []

    async def work() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            seen.append("cleaned up")

    with anyio.CancelScope() as scope:
        await notify_suspension(work(), scope.cancel)
    assert scope.cancelled_caught
    assert seen == ["cleaned up"]


async def test_work_may_catch_its_own_time_out() -> None:
    told = Told()

    async def work() -> str:
        with anyio.move_on_after(0):
            await anyio.sleep_forever()
        await checkpoint()  # the task itself is not cancelled
        return "went on"

    assert await notify_suspension(work(), told) == "went on"
    assert told.times == 1


async def test_a_shielded_cleanup_may_wait() -> None:
    seen: list[str] = []

    async def work() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await checkpoint()
                seen.append("cleaned up")

    with anyio.CancelScope() as scope:
        await notify_suspension(work(), scope.cancel)
    assert scope.cancelled_caught
    assert seen == ["cleaned up"]


async def test_it_nests() -> None:
    outer, inner = Told(), Told()

    async def work() -> int:
        await checkpoint()
        return 1

    async def twice() -> int:
        return await notify_suspension(work(), inner) + await notify_suspension(work(), inner)

    assert await notify_suspension(twice(), outer) == 2
    assert (outer.times, inner.times) == (1, 2)


async def test_work_stays_in_the_callers_task() -> None:
    tasks: list[Any] = [anyio.get_current_task().id]

    async def work() -> None:
        tasks.append(anyio.get_current_task().id)
        await settle()
        tasks.append(anyio.get_current_task().id)

    await notify_suspension(work(), lambda: None)
    assert len(set(tasks)) == 1
