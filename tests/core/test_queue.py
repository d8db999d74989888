"""Work that is done in turn."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from lbproto import Overloaded
from lbproto.scheduling.tasks import Queue
from lbproto.wire import Unavailable
from tests.core.clusters import Cluster
from tests.core.sessions import come, lose

pytestmark = pytest.mark.anyio


async def test_no_more_is_done_at_a_time_and_who_waits_for_too_long_is_told() -> None:
    queue = Queue(2, 0.01)
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
    queue = Queue(1, 1.0)
    async with anyio.create_task_group() as tasks, queue.turn():
        tasks.start_soon(queue.turn().__aenter__)
        await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    with pytest.raises(ValueError, match="it fails"):
        async with queue.turn():
            raise ValueError("it fails")
    async with queue.turn():
        pass


async def test_sessions_come_from_another_node_in_turn_and_too_many_come_again() -> None:
    async with Cluster.running() as cluster:
        one, two = await cluster.start(), await cluster.start()
        clients = {user: await come(one, user) for user in ("ada", "bob", "cy")}
        for client in clients.values():
            lose(one, client)
        two._parts.handover._asked_for = Queue(2, 0.01)  # of which there are more elsewise
        two._parts.handover._coming = Queue(1, 5.0)
        going_on = anyio.Event()
        adopt, here, at_a_time = two._membership.adopt, 0, []

        async def adopting(*args: Any, **named: Any) -> bool:
            nonlocal here
            here += 1
            at_a_time.append(here)
            await going_on.wait()
            is_in = await adopt(*args, **named)
            here -= 1
            return is_in

        two._membership.adopt = adopting  # type: ignore[method-assign] # to see who is there
        refused: list[str] = []

        async def back(user: str) -> None:
            try:
                await come(two, user, **clients[user].resume)
            except Unavailable:
                refused.append(user)
                going_on.set()

        async with anyio.create_task_group() as tasks:
            for user in clients:
                tasks.start_soon(back, user)
        (user,) = refused
        again = await come(two, user, **clients[user].resume)
        assert again.names == ["connected", "recovered"]
        assert at_a_time == [1, 1, 1]
        assert len(two.sessions.directory) == 3
