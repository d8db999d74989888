"""What goes from one event loop to another, or stays in one."""

from __future__ import annotations

import anyio
import pytest
from anyio import to_thread

from lbproto.backends.bridge import Bridge
from lbproto.backends.crossing import Crossing, entrance

pytestmark = pytest.mark.anyio


async def test_what_is_put_in_one_turn_arrives_together() -> None:
    crossing = Crossing[int](100, 1_000)
    crossing.open(entrance(apart=False), None)
    for turn in range(3):
        for number in range(5):
            assert crossing.put(10 * turn + number, 1)
        assert await crossing.take(1_000) == [10 * turn + number for number in range(5)]


async def test_no_more_are_on_their_way_than_may_be() -> None:
    crossing = Crossing[str](3, 10)
    assert not crossing.put("too early", 1)
    crossing.open(entrance(apart=False), None)
    assert crossing.put("a", 4)
    assert crossing.put("b", 4)
    assert not crossing.put("too large", 3)
    assert crossing.put("c", 2)
    assert not crossing.put("one too many", 0)
    assert (crossing.count, crossing.size) == (3, 10)
    assert await crossing.take(5) == ["a", "b"]
    assert not crossing.put("not done with yet", 0)
    crossing.release(2, 8)
    assert crossing.put("d", 8)
    assert await crossing.take(1) == ["c"]
    assert await crossing.take(1) == ["d"]
    crossing.close()
    assert not crossing.put("too late", 1)


async def test_from_another_thread_and_back() -> None:
    """Asyncio's in a thread of its own, as under trio."""
    there, back = Crossing[int](10_000, 10_000), Crossing[int](10_000, 10_000)
    here = entrance(apart=True)

    async def open_both() -> None:
        there.open(here, entrance(apart=True))
        back.open(entrance(apart=False), here)

    async def answer() -> None:
        for _ in range(1_000):
            for number in await there.take(1):
                assert back.put(number * 2, 1)
                there.release(1, 1)

    async with Bridge(apart=True) as bridge:
        await bridge.call(open_both)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bridge.call, answer)
            for number in range(1_000):
                assert there.put(number, 1)
                if number % 100 == 0:
                    await to_thread.run_sync(int)
            got: list[int] = []
            while len(got) < 1_000:
                got += await back.take(10_000)
        assert got == [number * 2 for number in range(1_000)]
        assert there.count == 0
