"""Many deadlines, one sleeper, on a clock that stands still."""

from __future__ import annotations

import gc
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproto.scheduling.timers import Timers
from lbproto.testing import VirtualClock, settle

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def running(clock: VirtualClock) -> AsyncIterator[Timers]:
    timers = Timers(clock)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(timers.run)
        await settle()
        yield timers
        tasks.cancel_scope.cancel()


class Calls(list[tuple[str, float]]):
    """What was called, and when."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock

    def at(self, name: str) -> None:
        self.append((name, self._clock.monotonic()))


async def test_deadlines_are_kept_in_order_each_at_its_time() -> None:
    clock = VirtualClock(0)
    calls = Calls(clock)
    async with running(clock) as timers:
        for name, when in (("c", 3.0), ("a", 1.0), ("b", 2.0), ("b2", 2.0)):
            timers.call_at(when, lambda name=name: calls.at(name))  # type: ignore[misc]
        await clock.advance(0.5)
        assert calls == []
        await clock.advance(5)
        assert calls == [("a", 1.0), ("b", 2.0), ("b2", 2.0), ("c", 3.0)]
        assert len(timers) == 0


async def test_an_earlier_deadline_than_the_one_slept_for_is_kept() -> None:
    clock = VirtualClock(0)
    calls = Calls(clock)
    async with running(clock) as timers:
        timers.call_at(10.0, lambda: calls.at("late"))
        await clock.advance(1)
        timers.call_at(2.0, lambda: calls.at("early"))
        timers.call_at(0.5, lambda: calls.at("overdue"))
        await settle()
        assert calls == [("overdue", 1.0)]
        await clock.advance(1)
        assert calls == [("overdue", 1.0), ("early", 2.0)]
        await clock.advance(8)
        assert calls[2:] == [("late", 10.0)]
        assert clock.sleepers == 0


async def test_what_was_set_before_the_start_is_kept() -> None:
    clock = VirtualClock(0)
    calls = Calls(clock)
    timers = Timers(clock)
    timers.call_at(1.0, lambda: calls.at("a"))
    clock.jump(5)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(timers.run)
        await settle()
        assert calls == [("a", 5.0)]
        tasks.cancel_scope.cancel()


async def test_a_cancelled_timer_is_never_called() -> None:
    clock = VirtualClock(0)
    calls = Calls(clock)
    async with running(clock) as timers:
        timer = timers.call_at(1.0, lambda: calls.at("cancelled"))
        timers.call_at(1.0, lambda: calls.at("kept"))
        timer.cancel()
        timer.cancel()
        await clock.advance(2)
        assert calls == [("kept", 1.0)]


async def test_a_callback_may_set_and_cancel_timers() -> None:
    clock = VirtualClock(0)
    calls = Calls(clock)
    async with running(clock) as timers:

        def tick() -> None:
            calls.at("tick")
            doomed.cancel()
            timers.call_at(clock.monotonic() + 1, tick)
            timers.call_at(clock.monotonic(), lambda: calls.at("now"))

        timers.call_at(1.0, tick)
        doomed = timers.call_at(1.0, lambda: calls.at("doomed"))
        await clock.advance(2)
        assert calls == [("tick", 1.0), ("now", 1.0), ("tick", 2.0), ("now", 2.0)]


async def test_a_deadline_ends_with_its_block() -> None:
    clock = VirtualClock(0)
    calls = Calls(clock)
    async with running(clock) as timers:
        with timers.deadline(1.0, lambda: calls.at("kept")):
            await clock.advance(2)
        with pytest.raises(ZeroDivisionError), timers.deadline(3.0, lambda: calls.at("ended")):
            raise ZeroDivisionError
        await clock.advance(2)
        assert calls == [("kept", 1.0)]


async def test_one_task_sleeps_whatever_the_number_of_deadlines() -> None:
    clock = VirtualClock(0)
    async with running(clock) as timers:
        for number in range(1_000):
            timers.call_at(1_000 - number, lambda: None)
        await settle()
        assert clock.sleepers == 1


# Without a loop


def test_when_the_next_is_due() -> None:
    timers = Timers(VirtualClock(0))
    assert timers.call_due(0) == inf
    first = timers.call_at(1, lambda: None)
    timers.call_at(2, lambda: None)
    assert timers.call_due(0) == 1
    first.cancel()
    assert timers.call_due(0) == 2
    assert timers.call_due(2) == inf


@given(st.lists(st.tuples(st.floats(0, 10), st.booleans())), st.lists(st.floats(0, 10)))
def test_exactly_what_is_due_and_alive_is_called(
    deadlines: list[tuple[float, bool]], times: list[float]
) -> None:
    timers = Timers(VirtualClock(0))
    called: list[int] = []
    for number, (when, cancelled) in enumerate(deadlines):
        timer = timers.call_at(when, lambda number=number: called.append(number))  # type: ignore[misc]
        if cancelled:
            timer.cancel()
    for now in sorted(times):
        timers.call_due(now)
        alive = [
            (when, number)
            for number, (when, gone) in enumerate(deadlines)
            if not gone and when <= now
        ]
        assert called == [number for _, number in sorted(alive)]


def test_cancelled_timers_do_not_pile_up() -> None:
    """Every connection sets some that are cancelled long before they are due."""
    timers = Timers(VirtualClock(0))
    kept = [timers.call_at(1e6 + number, lambda: None) for number in range(100)]
    most = 0
    for number in range(50_000):
        timers.call_at(25.0 + number, lambda: None).cancel()
        most = max(most, len(timers))
    assert most <= 1_024
    assert timers.call_due(0) == 1e6
    called: list[int] = []
    for number, timer in enumerate(kept):
        timer.callback = lambda number=number: called.append(number)
    timers.call_due(2e6)
    assert called == list(range(100))


def test_live_timers_are_never_swept() -> None:
    timers = Timers(VirtualClock(0))
    called: list[int] = []
    for number in range(5_000):
        timers.call_at(5_000 - number, lambda number=number: called.append(number))  # type: ignore[misc]
    assert timers.call_due(6_000) == inf
    assert called == list(reversed(range(5_000)))


def test_a_cancelled_timer_holds_nothing() -> None:
    class Connection:
        def tick(self) -> None: ...

    timers = Timers(VirtualClock(0))
    connection = Connection()
    reference = weakref.ref(connection)
    timer = timers.call_at(25.0, connection.tick)
    del connection
    gc.collect()
    assert reference() is not None
    timer.cancel()
    assert reference() is None
    assert len(timers) == 1
