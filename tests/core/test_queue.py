"""Work that is done in turn."""

from __future__ import annotations

import anyio
import pytest

from lbproto import Overloaded
from lbproto.tasks import Queue

pytestmark = pytest.mark.anyio


async def test_no_more_is_done_at_a_time_and_who_waits_for_too_long_is_told() -> None:
    queue = Queue(2, 9, 0.01)
    going_on, refused = anyio.Event(), 0
    working = done = 0

    async def work() -> None:
        nonlocal working, done, refused
        try:
            async with queue.turn():
                working += 1
                assert working <= 2
                await going_on.wait()
                working -= 1
                done += 1
        except Overloaded:
            refused += 1
            if refused == 3:
                going_on.set()

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(work)
    assert (done, refused) == (2, 3)
    async with anyio.create_task_group() as tasks:
        for _ in range(5):  # nobody has kept a place
            tasks.start_soon(work)
    assert done == 7


async def test_who_is_gone_or_fails_keeps_no_place() -> None:
    queue = Queue(1, 9, 1.0)
    async with anyio.create_task_group() as tasks, queue.turn():
        tasks.start_soon(queue.turn().__aenter__)
        await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    with pytest.raises(ValueError, match="it fails"):
        async with queue.turn():
            raise ValueError("it fails")
    async with queue.turn():
        pass


async def test_what_is_too_much_is_refused_at_once() -> None:
    queue = Queue(1, 2, 1.0)
    with queue.room():
        with queue.room(), pytest.raises(Overloaded), queue.room():
            pass
        with queue.room():
            pass
