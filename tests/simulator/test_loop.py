"""Virtual time, and processes that are stopped and killed."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import traceback
import uuid

import anyio
import pytest

from lbproto.ids import new_id
from lbproto.simulator.chance import bits_from
from lbproto.simulator.clock import NodeClock
from lbproto.simulator.loop import Process, Stuck, VirtualLoop, run_virtually


def test_time_passes_at_once_and_exactly() -> None:
    async def main(loop: VirtualLoop) -> float:
        await asyncio.sleep(86_400)
        with anyio.move_on_after(0.25):
            await anyio.sleep_forever()
        return loop.time()

    assert run_virtually(main) == 86_400.25


def test_a_world_that_waits_for_nothing_is_stuck() -> None:
    async def main(loop: VirtualLoop) -> None:
        await loop.create_future()

    async def main_for_ever(_: VirtualLoop) -> None:
        await anyio.sleep_forever()

    for each in (main, main_for_ever):
        with pytest.raises(Stuck):
            run_virtually(each)


def test_why_a_world_has_ended_is_told_though_the_rest_of_it_does_not_end() -> None:
    async def main(loop: VirtualLoop) -> None:
        process = Process(loop, "one")
        process.call(asyncio.ensure_future, asyncio.sleep(1.0))
        await asyncio.sleep(0)  # for the process to begin
        process.stop()
        raise RuntimeError("nobody has buried it")

    with pytest.raises(Stuck) as stuck:
        run_virtually(main)
    assert "nobody has buried it" in "".join(traceback.format_exception(stuck.value))


def test_a_process_that_is_stopped_does_nothing_until_it_goes_on() -> None:
    async def main(loop: VirtualLoop) -> list[float]:
        process, times = Process(loop, "one"), list[float]()

        async def work() -> None:
            while True:
                await asyncio.sleep(1.0)
                times.append(loop.time())

        task = process.start(work())
        await asyncio.sleep(1.5)
        process.stop()
        await asyncio.sleep(5.0)
        assert times == [1.0]
        process.go_on()
        await asyncio.sleep(1.6)
        task.cancel()
        return times

    assert run_virtually(main) == [1.0, 6.5, 7.5]


def test_a_process_that_is_killed_does_not_even_clean_up() -> None:
    async def main(loop: VirtualLoop) -> list[str]:
        process, said = Process(loop, "one"), list[str]()

        async def work() -> None:
            try:
                await asyncio.sleep(1.0)
                said.append("done")
            finally:
                said.append("cleaned up")

        task = process.start(work())
        await asyncio.sleep(0.5)
        process.kill()
        task.cancel()
        process.call(said.append, "called")
        await asyncio.sleep(60.0)
        process.go_on()
        await asyncio.sleep(60.0)
        heard = said.copy()
        process.bury()  # the end of the world, in which all that is left unwinds
        return heard

    assert run_virtually(main) == []


def test_random_bits_are_those_of_the_seed_and_only_inside() -> None:
    def drawn() -> list[object]:
        return [
            os.urandom(4),
            secrets.token_hex(4),
            uuid.uuid4(),
            random.SystemRandom().random(),
            random.random(),  # noqa: S311 - that is what is drawn
            new_id(),
        ]

    with bits_from(1):
        first = drawn()
    with bits_from(1):
        assert drawn() == first
    with bits_from(2):
        assert not set(map(str, drawn())) & set(map(str, first))
    assert not set(map(str, drawn())) & set(map(str, first))


def test_clocks_of_nodes_need_not_agree() -> None:
    async def main(loop: VirtualLoop) -> tuple[float, float, float]:
        clock = NodeClock(loop, since=100.0, ahead=-3.0, rate=2.0)
        before = clock.now()
        await clock.sleep(8.0)
        return clock.monotonic(), clock.now() - before, loop.time()

    assert run_virtually(main) == (108.0, 4.0, 4.0)
