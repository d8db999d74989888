"""Reading from a websocket while handlers wait: heartbeats, order, and who goes on."""

from __future__ import annotations

import logging
from collections.abc import Collection
from contextvars import ContextVar
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lbproto.asgi.plain import PlainEndpoint
from lbproto.connection.base import Connection
from lbproto.connection.runtime import Runtime
from lbproto.scheduling.tasks import background_tasks
from lbproto.testing import VirtualClock, settle
from lbproto.transport import CloseCode
from lbproto.wire import Inbound, Settings, Socket
from tests.wire.asgi import WebSocketCall, websocket
from tests.wire.kit import Program, engine_edge, running

pytestmark = pytest.mark.anyio


async def test_a_handler_that_waits_does_not_hold_up_reading() -> None:
    clock = VirtualClock()
    async with running(clock=clock) as runtime, background_tasks() as tasks:
        program = Program()
        call = await websocket(engine_edge(runtime, program), tasks)
        await call.say("40", "40/ws", '42["slow",1]')
        assert program.running == 1
        await clock.advance(25.0)
        assert call.messages[-1] == "2"
        await call.say("3")  # the heartbeat is answered ...
        await clock.advance(24.9)
        await call.say('42["echo",2]', '42/ws,["echo",3]', '43/ws,7["an ack"]')
        assert call.unread == 0  # ... and everything else is read ...
        assert program.running == 1
        await clock.advance(0.1)
        await call.say("3")
        assert call.close_code is None
        before = len(call.messages)
        program.release()
        await settle()
        assert call.messages[before:] == [  # ... but handled in its turn
            '42["slow",1]',
            '42["echo",2]',
            '42/ws,["echo",3]',
        ]
        await call.hang_up()
        assert call.done


async def test_the_client_may_leave_while_a_handler_waits() -> None:
    async with running() as runtime, background_tasks() as tasks:
        program = Program()
        call = await websocket(engine_edge(runtime, program), tasks)
        await call.say("40", '42["slow"]', '42["echo"]')
        await call.hang_up()
        assert program.log[-1] == ("closed", "/", "transport close")
        assert not runtime.connections
        program.release()
        await settle()
        assert program.log[-1] == ("closed", "/", "transport close")  # "echo" is not handled
        assert call.done
        assert call.error is None


async def test_many_slow_requests_one_after_the_other() -> None:
    async with running() as runtime, background_tasks() as tasks:
        program = Program()
        call = await websocket(engine_edge(runtime, program), tasks)
        await call.say("40")
        before = len(call.messages)
        started = len(tasks_of(runtime))
        for number in range(200):
            await call.say(f'42["slow",{number}]')
            assert program.running == 1
            program.release()
            await settle()
        assert call.messages[before:] == [f'42["slow",{number}]' for number in range(200)]
        # Each had a task take over from the one that waited; only the last of them is left.
        assert len(tasks_of(runtime)) == started
        await call.hang_up()
        assert call.done


def tasks_of(runtime: Runtime) -> Collection[object]:
    """The tasks that the runtime has started and that still live."""
    starter: Any = runtime._tasks
    group = starter._tasks
    tasks: Collection[object] = (
        group._nursery.child_tasks if hasattr(group, "_nursery") else group._tasks
    )
    return tasks


async def test_slow_requests_on_one_connection_never_overlap() -> None:
    async with running() as runtime, background_tasks() as tasks:
        program = Program()
        call = await websocket(engine_edge(runtime, program), tasks)
        await call.say("40")
        before = len(call.messages)
        await call.say(*(f'42["slow",{number}]' for number in range(20)))
        for number in range(20):
            assert program.running == 1
            assert len(call.messages) == before + number
            program.release()
            await settle()
        assert call.messages[before:] == [f'42["slow",{number}]' for number in range(20)]


_WHO: ContextVar[str] = ContextVar("_WHO", default="nobody")


class Remembering(Program):
    """Sets a context variable to the event's name and never takes it back."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    async def event(self, socket: Socket, inbound: Inbound) -> None:
        self.seen.append(_WHO.get())
        _WHO.set(inbound.name)
        await super().event(socket, inbound)


@pytest.mark.parametrize("first", ["echo", "slow"])
async def test_what_a_handler_keeps_in_its_context_is_not_seen_by_the_next(first: str) -> None:
    async with running() as runtime, background_tasks() as tasks:
        program = Remembering()
        calls = [await websocket(engine_edge(runtime, program), tasks) for _ in range(3)]
        for call in calls:
            call.say_nowait("40", f'42["{first}"]')
        await settle()
        assert program.seen == ["nobody"] * 3
        calls[0].say_nowait('42["echo"]')
        if program.waits:
            program.release()
        await settle()
        assert len(program.seen) == 4
        for call in calls:
            await hang_up_cleanly(call)


async def test_what_came_before_the_end_is_served_before_it() -> None:
    async with running() as runtime, background_tasks() as tasks:
        program = Program()
        call = await websocket(engine_edge(runtime, program), tasks)
        call.say_nowait("40", '42["echo",1]', '42["echo",2]')
        await call.hang_up()
        assert [entry[0] for entry in program.log] == ["opened", "echo", "echo", "closed"]


@pytest.mark.parametrize("end", ["41", "1"], ids=["the socket's", "the connection's"])
async def test_what_came_before_the_clients_farewell_is_served_before_it(end: str) -> None:
    async with running() as runtime, background_tasks() as tasks:
        program = Program()
        call = await websocket(engine_edge(runtime, program), tasks)
        call.say_nowait("40", '42["echo",1]', end, '42["echo",2]')
        await settle()
        assert [entry[0] for entry in program.log] == ["opened", "echo", "closed"]


async def test_two_connections_do_not_wait_for_each_other() -> None:
    async with running() as runtime, background_tasks() as tasks:
        slow, quick = Program(), Program()
        first = await websocket(engine_edge(runtime, slow), tasks)
        second = await websocket(engine_edge(runtime, quick), tasks)
        await first.say("40", '42["slow"]')
        await second.say("40", '42["echo",1]')
        assert second.messages[-1] == '42["echo",1]'


async def test_reading_pauses_when_too_much_waits() -> None:
    clock = VirtualClock()
    bounds = Settings(max_pending_requests=8)
    async with running(bounds, clock) as runtime, background_tasks() as tasks:
        program = Program()
        call = await websocket(engine_edge(runtime, program), tasks)
        await call.say("40", '42["slow",0]')
        await call.say(*(f'42["echo",{number}]' for number in range(1, 101)))
        (connection,) = runtime.connections
        assert connection.congested
        assert call.unread == 100 - 8
        await clock.advance(600.0)
        assert call.close_code is None  # not asked for signs of life that we would not read
        program.release()
        await settle()
        assert call.unread == 0
        echoes = [m for m in call.messages if isinstance(m, str) and m.startswith('42["echo"')]
        assert echoes == [f'42["echo",{number}]' for number in range(1, 101)]


async def test_a_flood_before_the_token_is_checked_is_bounded() -> None:
    bounds = Settings(max_pending_requests=8)
    async with running(bounds) as runtime, background_tasks() as tasks:
        program = Program()
        edge = PlainEndpoint(runtime, program, ("*",))
        call = await websocket(edge, tasks, "", headers={"authorization": "slow"})
        await call.say(*('{"event":"echo","data":1}' for _ in range(1_000)), "{", "{")
        (connection,) = runtime.connections
        assert connection.congested
        assert call.unread >= 990
        program.release()
        await settle()
        assert call.unread == 0
        assert len(call.messages) == 1 + 1_000 + 2


async def test_a_flood_of_bad_messages_is_bounded_too() -> None:
    bounds = Settings(max_pending_requests=8)
    async with running(bounds) as runtime, background_tasks() as tasks:
        program = Program()
        edge = PlainEndpoint(runtime, program, ("*",))
        call = await websocket(edge, tasks, "", headers={"authorization": "t"})
        await call.say('{"event":"slow"}', *("{" for _ in range(1_000)))
        assert call.unread >= 990
        program.release()
        await settle()
        assert call.unread == 0


async def test_events_before_connecting_close_the_transport() -> None:
    async with running() as runtime, background_tasks() as tasks:
        program = Program()
        call = await websocket(engine_edge(runtime, program), tasks)
        await call.say(*('42["echo"]' for _ in range(1_000)))
        assert call.close_code == CloseCode.PROTOCOL_ERROR
        assert program.log == []
        assert not runtime.connections


@pytest.mark.parametrize("waiting", [False, True], ids=["reading", "while a handler waits"])
async def test_a_receive_that_fails_ends_its_connection_only(
    waiting: bool,
) -> None:
    async with running() as runtime, background_tasks() as tasks:
        program, other = Program(), Program()
        call = await websocket(engine_edge(runtime, program), tasks)
        survivor = await websocket(engine_edge(runtime, other), tasks)
        await call.say("40")
        await survivor.say("40")
        if waiting:
            await call.say('42["slow"]')
        call.fail_receive(RuntimeError("a bug of the host's middleware"))
        await settle()
        assert program.log[-1][0] == "closed"
        if waiting:
            program.release()
            await settle()
        assert call.done
        assert call.error is not None  # the server logs what comes out of the app
        await survivor.say('42["echo",1]')
        assert survivor.messages[-1] == '42["echo",1]'


@pytest.mark.parametrize("waiting", [False, True], ids=["reading", "while a handler waits"])
async def test_a_task_that_the_server_ends_leaves_nothing(waiting: bool) -> None:
    async with running() as runtime, background_tasks() as tasks:
        program = Program()
        call = await websocket(engine_edge(runtime, program), tasks)
        before = len(tasks_of(runtime))
        await call.say("40", *(['42["slow"]'] if waiting else []))
        await call.cancel()
        assert call.done
        assert program.log[-1] == ("closed", "/", "transport close")
        assert not runtime.connections
        if waiting:  # what was begun is finished, as when the client goes away
            assert program.running == 1
            program.release()
            await settle()
        assert program.running == 0
        assert len(tasks_of(runtime)) == before


async def test_a_message_that_cannot_be_taken_ends_its_connection_only(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running() as runtime, background_tasks() as tasks:
        program = Program()
        call = await websocket(engine_edge(runtime, program), tasks)
        await call.say("40", '42["slow"]')  # so that the next is taken as it comes
        (connection,) = runtime.connections
        monkeypatch.setattr(type(connection), "_receive", _fail)
        await call.say('42["echo"]')
        assert call.close_code == CloseCode.INTERNAL_ERROR
        assert runtime.accepting
        assert len([r for r in caplog.records if r.levelno >= logging.ERROR]) == 1


def _fail(connection: Connection, message: object) -> None:
    raise ValueError("a parser's bug")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.sampled_from(["slow", "slow", "echo", "echo", "release", "turn", "pong"]), max_size=40
    ),
    most=st.integers(1, 4),
)
async def test_any_mix_of_requests_is_answered_in_order(steps: list[str], most: int) -> None:
    bounds = Settings(max_pending_requests=most)
    async with running(bounds) as runtime, background_tasks() as tasks:
        program = Program()
        call = await websocket(engine_edge(runtime, program), tasks)
        await call.say("40")
        before = len(call.messages)
        asked: list[str] = []
        for number, step in enumerate(steps):
            if step in ("slow", "echo"):
                asked.append(f'42["{step}",{number}]')
                call.say_nowait(asked[-1])
            elif step == "pong":
                call.say_nowait("3")
            elif step == "release" and program.waits:
                program.release()
            else:
                await settle()
            assert program.running <= 1
        await settle()
        while program.waits:
            program.release()
            await settle()
        assert call.unread == 0
        assert call.messages[before:] == asked
        await hang_up_cleanly(call)


async def hang_up_cleanly(call: WebSocketCall) -> None:
    await call.hang_up()
    assert call.done
    assert call.error is None
