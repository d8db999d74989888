"""One writer for all connections: order, slow ones, failing ones, and how many tasks it takes."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lbproto.delivery.turn import Group, Turn
from lbproto.delivery.writer import Writer
from lbproto.frame import frame_of
from lbproto.testing import VirtualClock, settle
from lbproto.transport import CloseCode
from tests.wire.kit import MemoryTransport, Program, plain_client, running

pytestmark = pytest.mark.anyio


class Line:
    """A sink of texts over a transport that can be paused and can fail."""

    def __init__(self, writer: Writer) -> None:
        self.transport = MemoryTransport()
        self.writing = False
        self.flushes = 0
        self._writer = writer
        self._queue: list[str] = []

    def push(self, *texts: str) -> None:
        self._queue.extend(texts)
        self._writer.mark(self)

    def flush_nowait(self) -> bool:
        return False

    async def flush(self) -> None:
        self.flushes += 1
        while self._queue:
            taken, self._queue = self._queue, []
            await self.transport.send([frame_of(text.encode()) for text in taken])


class Team:
    """The writer under test, and how many tasks it has asked for."""

    def __init__(self, start_soon: Callable[..., object]) -> None:
        self.started = 0
        self._start_soon = start_soon
        self.writer = Writer(self.start, Turn(), VirtualClock())

    def start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.started += 1
        self._start_soon(work)

    def lines(self, number: int) -> list[Line]:
        return [Line(self.writer) for _ in range(number)]


@asynccontextmanager
async def writing() -> AsyncIterator[Team]:
    async with anyio.create_task_group() as tasks:
        team = Team(tasks.start_soon)
        tasks.start_soon(team.writer.run)
        await settle()
        yield team
        tasks.cancel_scope.cancel()


async def test_what_is_queued_is_sent_in_the_next_turn_in_one_write() -> None:
    async with writing() as team:
        (line,) = team.lines(1)
        line.push("a")
        line.push("b", "c")
        assert line.transport.messages == []
        await settle()
        assert line.transport.messages == ["a", "b", "c"]
        assert line.transport.sends == 1


async def test_sends_that_complete_at_once_cost_no_task() -> None:
    async with writing() as team:
        lines = team.lines(1_000)
        for turn in range(3):
            for line in lines:
                line.push(str(turn))
            await settle()
        assert all(line.transport.messages == ["0", "1", "2"] for line in lines)
        assert team.started == 0


async def test_a_slow_one_holds_up_nobody() -> None:
    async with writing() as team:
        lines = team.lines(5)
        slow = lines[1]
        slow.transport.pause()
        for line in lines:
            line.push("a")
        await settle()
        for line in lines:
            line.push("b")
        await settle()
        for line in lines:
            assert line.transport.messages == ([] if line is slow else ["a", "b"])
        assert team.started == 1  # a successor, once
        slow.transport.resume()
        await settle()
        assert slow.transport.messages == ["a", "b"]
        slow.push("c")
        await settle()
        assert slow.transport.messages == ["a", "b", "c"]


async def test_each_slow_one_costs_one_task_while_it_is_slow() -> None:
    async with writing() as team:
        lines = team.lines(20)
        for line in lines:
            line.transport.pause()
            line.push("a")
        await settle()
        assert team.started == 20
        for _ in range(5):
            for line in lines:
                line.push("b")
            await settle()
        assert team.started == 20
        for line in lines:
            line.transport.resume()
        await settle()
        assert all(line.transport.messages == ["a", *"bbbbb"] for line in lines)
        lines[0].push("c")
        await settle()
        assert lines[0].transport.messages[-1] == "c"  # one writer is left
        assert team.started == 20


async def test_what_is_held_is_released_after_a_millisecond() -> None:
    clock = VirtualClock()
    turn = Turn(clock.monotonic)
    async with anyio.create_task_group() as tasks:
        writer = Writer(tasks.start_soon, turn, clock)
        tasks.start_soon(writer.run)
        tasks.start_soon(writer.keep_pace)
        group = Group(turn, lambda line: None)
        for _ in range(2):
            group.hot = True
            group.push(frame_of(b"a"))
            await settle()
            assert len(group.pending) == 1
            await clock.advance(0.001)
            assert group.pending == []
        tasks.cancel_scope.cancel()


async def test_two_tasks_never_send_for_one_connection() -> None:
    async with writing() as team:
        (line,) = team.lines(1)
        line.transport.pause()
        line.push("a")
        await settle()
        line.push("b")
        await settle()
        assert line.flushes == 1
        line.transport.resume()
        await settle()
        assert line.transport.messages == ["a", "b"]
        assert line.flushes == 1


@pytest.mark.parametrize(
    ("error", "logged"),
    [(ConnectionResetError("gone"), 0), (RuntimeError("a bug of the server"), 1)],
    ids=["gone", "failing"],
)
async def test_a_failing_transport_stops_nobody_else(
    error: Exception, logged: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with writing() as team:
        lines = team.lines(3)
        lines[1].transport.failure = error
        for line in lines:
            line.push("a")
        await settle()
        assert [line.transport.messages for line in lines] == [["a"], [], ["a"]]
        lines[1].transport.failure = None
        for line in lines:
            line.push("b")
        await settle()
        assert [line.transport.messages[-1] for line in lines] == ["b", "b", "b"]
        assert team.started == 0
    assert len([r for r in caplog.records if r.levelno >= logging.ERROR]) == logged


async def test_a_transport_that_fails_after_waiting_stops_nobody_else() -> None:
    async with writing() as team:
        slow, other = team.lines(2)
        slow.transport.pause()
        slow.push("a")
        other.push("a")
        await settle()
        slow.transport.failure = OSError("gone")
        slow.transport.resume()
        await settle()
        assert not slow.writing
        other.push("b")
        await settle()
        assert other.transport.messages == ["a", "b"]


async def test_marking_again_while_it_is_being_sent_loses_nothing() -> None:
    class Chatty(Line):
        async def flush(self) -> None:
            await super().flush()
            if self.flushes < 4:
                self.push(f"again {self.flushes}")

    async with writing() as team:
        chatty = Chatty(team.writer)
        chatty.push("first")
        await settle()
        assert chatty.transport.messages == ["first", "again 1", "again 2", "again 3"]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["push", "push", "pause", "resume", "turn"]), st.integers(0, 3)),
        max_size=40,
    )
)
async def test_nothing_is_lost_doubled_or_reordered(steps: list[tuple[str, int]]) -> None:
    async with writing() as team:
        lines = team.lines(4)
        paused: set[int] = set()
        pushed: list[list[str]] = [[] for _ in lines]
        for number, (step, at) in enumerate(steps):
            if step == "push":
                lines[at].push(str(number))
                pushed[at].append(str(number))
            elif step == "pause" and at not in paused:
                lines[at].transport.pause()
                paused.add(at)
            elif step == "resume" and at in paused:
                lines[at].transport.resume()
                paused.discard(at)
            else:
                await checkpoint()
        await settle()
        for at in set(range(4)) - paused:
            assert lines[at].transport.messages == pushed[at]
        for at in paused:
            lines[at].transport.resume()
        await settle()
        assert [line.transport.messages for line in lines] == pushed


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ConnectionResetError("gone"), None),
        (RuntimeError("a bug of the server"), (CloseCode.INTERNAL_ERROR, "internal error")),
    ],
    ids=["gone", "failing"],
)
async def test_a_failed_send_ends_its_connection(
    error: Exception, told: tuple[CloseCode, str] | None
) -> None:
    # What could not be sent is lost: to go on would be a gap that the client is not told of.
    async with running() as runtime:
        program = Program()
        client = plain_client(runtime, program, "token")
        await settle()
        client.transport.take()
        client.transport.failure = error
        await client.send('{"event":"echo","data":1}')
        assert client.connection.closed
        assert client.transport.closed == told
        assert program.log[-1] == (
            "closed",
            "",
            "transport close" if told is None else "internal error",
        )
