"""Libraries of asyncio's under every event loop."""

from __future__ import annotations

import asyncio
import threading

import anyio
import pytest
from anyio.lowlevel import checkpoint

from lbproto import UsageError
from lbproto.backends.bridge import Bridge

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["", "apart"])
def apart(request: pytest.FixtureRequest) -> bool:
    """Whether it is in a thread under asyncio, too."""
    return bool(request.param)


async def _divide(one: float, other: float) -> float:
    await asyncio.sleep(0)
    assert asyncio.current_task() is not None
    return one / other


async def test_answers_and_errors_come_back(apart: bool) -> None:
    async with Bridge(apart=apart) as bridge:
        assert await bridge.call(_divide, 6, 3) == 2
        with pytest.raises(ZeroDivisionError):
            await bridge.call(_divide, 6, 0)


async def test_calls_run_side_by_side(apart: bool) -> None:
    barrier = asyncio.Barrier(2)
    places: list[int] = []

    async def meet() -> None:
        places.append(await barrier.wait())

    async with Bridge(apart=apart) as bridge, anyio.create_task_group() as tasks:
        tasks.start_soon(bridge.call, meet)
        tasks.start_soon(bridge.call, meet)
    assert sorted(places) == [0, 1]


async def test_who_is_cancelled_cancels_the_call(apart: bool) -> None:
    ended, begun = threading.Event(), threading.Event()

    async def hang() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with Bridge(apart=apart) as bridge, anyio.create_task_group() as tasks:
        tasks.start_soon(bridge.call, hang)
        while not begun.is_set():
            await checkpoint()
        tasks.cancel_scope.cancel()
    assert ended.is_set()


async def test_no_thread_is_left(apart: bool) -> None:
    before = {thread for thread in threading.enumerate() if "portal" in thread.name}
    with anyio.CancelScope() as scope:
        async with Bridge(apart=apart):
            scope.cancel()
    assert {thread for thread in threading.enumerate() if "portal" in thread.name} == before


async def test_outside_of_asyncio_it_has_to_be_entered(
    anyio_backend_name: str, apart: bool
) -> None:
    if anyio_backend_name == "asyncio" and not apart:
        assert await Bridge(apart=apart).call(_divide, 6, 3) == 2
        return
    with pytest.raises(UsageError, match="async with"):
        await Bridge(apart=apart).call(_divide, 6, 3)


async def test_apart_the_callers_loop_is_left_alone() -> None:
    async with Bridge(apart=True) as bridge:

        async def thread() -> int:
            return threading.get_ident()

        assert await bridge.call(thread) != threading.get_ident()
